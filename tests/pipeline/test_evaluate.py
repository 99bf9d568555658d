"""The evaluation counts right, and says what is wrong with its input."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.__main__ import main
from pipeline.evaluate import evaluate
from pipeline.runtime import Graph
from tests.pipeline.conftest import needs_export

pytestmark = pytest.mark.untraced


@pytest.fixture
def answers(photos: dict[str, Image.Image], resize: Graph, classify: Graph) -> dict[str, list[int]]:
    """The five classes of each photo."""
    return {name: classify(resize(np.asarray(photo)[np.newaxis])[0])[2][0].tolist() for name, photo in photos.items()}


@pytest.fixture
def images(tmp_path: Path, photos: dict[str, Image.Image], answers: dict[str, list[int]]) -> Path:
    """Four photos: the first's class is first, the second's is fifth, the others' are none of the five."""
    names = ["astronaut", "cat", "coffee", "temple"]
    for name in names:
        photos[name].save(tmp_path / f"{name}.png")
    wrong = [next(index for index in range(1000) if index not in answers[name]) for name in names]
    classes = [answers["astronaut"][0], answers["cat"][4], *wrong[2:]]
    rows = [f"{name}.png,{index}" for name, index in zip(names, classes, strict=True)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,index", *rows]), encoding="utf-8")
    return tmp_path


def test_counts(images: Path, repository: Path) -> None:
    """One of four right at first, two of four among five; without torch there is no reference."""
    result = evaluate(images, repository=repository)
    assert (result.images, result.graphs.top_1, result.graphs.top_5) == (4, 0.25, 0.5)
    assert (result.reference, result.same_top_1, result.largest_difference) == (None, None, None)


def test_reference(images: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Pillow + PyTorch beside it, in JSON and as a table."""
    needs_export()
    command = ["evaluate", "--images", str(images), "--repository", str(repository), "--reference"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["same_top_1"] == 1
    assert 0 < found["largest_difference"] <= 2e-3
    assert found["reference"]["top_1"] == found["graphs"]["top_1"]
    assert main(command) == 0
    assert "graphs               25.0%   50.0%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("listing", "message"),
    [(None, "No such file"), ("name\n", "columns file and index"), ("file,index\n", "lists no photos")],
)
def test_a_bad_list_is_refused(
    listing: str | None, message: str, tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1 and one readable line."""
    if listing is not None:
        (tmp_path / "labels.csv").write_text(listing, encoding="utf-8")
    assert main(["evaluate", "--images", str(tmp_path), "--repository", str(repository)]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
