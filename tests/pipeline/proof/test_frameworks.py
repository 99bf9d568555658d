"""The framework's own transform against the written model; torchvision is a stand-in made of Pillow."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.pipeline.proof.conftest import Made
from topfive_pipeline.proof import frameworks
from topfive_pipeline.proof.frameworks import Named, compare
from topfive_pipeline.proof.verdict import Finding

TORCHVISION = '''
"""What torchvision's preset does, in Pillow and NumPy."""
import numpy as np
from PIL import Image

class ImageClassification:
    def __init__(self, *, crop_size, resize_size, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)):
        self.crop, self.short, self.mean, self.std = crop_size, resize_size, mean, std

    def __call__(self, image):
        width, height = image.size
        shorter = min(width, height)
        size = (int(self.short * width / shorter), int(self.short * height / shorter))
        image = image.resize(size, Image.Resampling.FILTER)
        left, top = (int(round((side - self.crop) / 2)) for side in size)
        pixels = np.asarray(image)[top : top + self.crop, left : left + self.crop]
        return ((pixels / 255 - self.mean) / self.std).astype(np.float32).transpose(2, 0, 1)
'''
PRESET = Named(preset="torchvision")


@pytest.fixture
def torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The module of a torchvision that can be imported: `FILTER` in it is Pillow's filter."""
    package = tmp_path / "torchvision"
    (package / "transforms").mkdir(parents=True)
    for folder in (package, package / "transforms"):
        (folder / "__init__.py").touch()
    module = package / "transforms" / "_presets.py"
    module.write_text(TORCHVISION.replace("FILTER", "BILINEAR"))
    kept = _forget()
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    yield module
    _forget()
    sys.modules.update(kept)


def _forget() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "torchvision"}


def tried(made: Made, named: Named, figures: dict[str, float] | None = None) -> Finding | None:
    figures = {} if figures is None else figures
    return compare(named, made.written, made.original, made.photos, figures=figures, progress=lambda step: None)


@pytest.mark.usefixtures("torchvision")
def test_the_same_preprocessing_passes_to_a_grey_level(made: Made) -> None:
    figures: dict[str, float] = {}
    finding = tried(made, PRESET, figures)
    assert finding is not None
    assert finding.passed, finding.said
    assert finding.said.startswith("torchvision's own transform: largest difference ")
    assert figures["framework_levels_max"] <= 1.01
    assert figures["framework_difference_max"] < 0.01


@pytest.mark.parametrize(
    ("theirs", "others"),
    [("BILINEAR", "BICUBIC"), ("0.485, 0.456, 0.406", "0.5, 0.5, 0.5"), ("int(round((side", "int(((side + 6")],
    ids=["filter", "mean", "crop"],
)
def test_another_preprocessing_is_told_in_grey_levels(torchvision: Path, made: Made, theirs: str, others: str) -> None:
    text = torchvision.read_text()
    assert theirs in text
    torchvision.write_text(text.replace(theirs, others))
    finding = tried(made, PRESET)
    assert finding is not None
    assert finding.passed is False
    assert "grey levels of the network's input" in finding.said
    assert "worst: " in finding.said


@pytest.mark.usefixtures("torchvision")
def test_flags_that_override_it_leave_nothing_to_compare(made: Made) -> None:
    finding = tried(made, Named(preset="torchvision", said={"crop_rounding", "crop"}))
    assert finding == Finding(
        "framework", None, "torchvision's own transform was not tried: flags override it (--crop-rounding)"
    )
    taken = tried(made, Named(preset="torchvision", said={"crop"}))
    assert taken is not None
    assert taken.passed


def test_a_framework_that_is_not_installed_is_not_tried(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frameworks, "find_spec", lambda name: None)
    assert tried(made, PRESET) == Finding(
        "framework", None, "torchvision is not installed, so its own transform was not tried"
    )


def test_an_installation_that_is_broken_is_not_tried(torchvision: Path, made: Made) -> None:
    torchvision.write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    assert tried(made, PRESET) == Finding(
        "framework",
        None,
        "torchvision's own transform could not be made: operator torchvision::nms does not exist",
    )


@pytest.mark.parametrize("named", [Named(), Named(said={"mean"}), Named(preset="keras-tf")])
def test_no_framework_no_line(made: Made, named: Named) -> None:
    assert tried(made, named) is None


@pytest.mark.parametrize(
    ("content", "framework"),
    [('{"pretrained_cfg": {"input_size": [3, 32, 32]}}', "timm"), ('{"image_mean": [0.5, 0.5, 0.5]}', "transformers")],
)
def test_files_name_their_frameworks(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, framework: str
) -> None:
    monkeypatch.setattr(frameworks, "find_spec", lambda name: None)
    file = tmp_path / "preprocessor_config.json"
    file.write_text(content)
    for path in (file, tmp_path):
        finding = tried(made, Named(from_file=str(path)))
        assert finding is not None
        assert finding.said.startswith(f"{framework} is not installed")
