"""Compares a network's input with what the framework itself makes of a photo, where that framework is installed.

What lives here: which framework `--from` and `--preset` name, its own evaluation transform, and the comparison. No
framework is needed for an import: it is looked for only here, when it was named, and imported only if it is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from topfive_pipeline.preprocessing import hugging_face_files, timm_files, torchvision_names
from topfive_pipeline.preprocessing.files import file_of
from topfive_pipeline.preprocessing.reference import network_input
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.preprocessing.text_files import read_json
from topfive_pipeline.proof.answers import difference
from topfive_pipeline.proof.models import Original, Progress, Written
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.verdict import LEVELS, RARE, Finding

STEP: Final = "framework"
_PHOTOS: Final = 12
"""Photos are enough: all the others go through the same steps of the same transform."""
_ROUNDING: Final = 0.01
"""Grey levels: what is lost when a level becomes an FP32 of the network's input, and again a level."""
_HUGGING_FACE_FILE: Final = "preprocessor_config.json"

Transform = Callable[[Image.Image], Any]
"""Of an upright RGB image, a network's input [C, h, w] as anything that NumPy takes."""


class NotTried(Exception):  # no error: it says why a step of a proof was left out
    """Why a framework's transform was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What the user named: `--from`, `--preset`, and the fields that flags say instead of them."""

    from_file: str | None = None
    preset: str | None = None
    said: Collection[str] = ()


def compare(
    named: Named,
    written: Written,
    original: Original,
    photos: Sequence[Photo],
    *,
    figures: dict[str, float],
    progress: Progress,
) -> Finding | None:
    """The input of the network, and its answers, by the framework's own transform; None if no framework is named.

    The figures `framework_levels_max` and `framework_difference_max` are added.
    """
    try:
        found = transform_of(named, original.rules, progress)
    except NotTried as reason:
        return Finding(STEP, None, str(reason))
    if found is None:
        return None
    framework, transform = found
    worst, far, values, apart, where = 0.0, 0, 0, 0.0, ""
    for photo in photos[:_PHOTOS]:
        progress(f"{framework}: {photo.name}")
        picture = photo.image()
        theirs = np.asarray(transform(picture), np.float32)
        (crop,) = written.resize.run(np.asarray(picture)[np.newaxis])
        ours = network_input(crop, original.rules, layout="NCHW")[0]
        if theirs.shape != ours.shape:
            return Finding(
                STEP, False, f"{photo.name}: {framework} makes it {list(theirs.shape)}, and not {list(ours.shape)}"
            )
        levels = np.abs(theirs - ours) * _levels(original.rules)
        far += int((levels > 1 + _ROUNDING).sum())
        values += levels.size
        if levels.max() > worst:
            worst, where = float(levels.max()), photo.name
        apart = max(apart, _apart(written, original, crop, theirs))
    figures |= {"framework_levels_max": worst, "framework_difference_max": apart}
    unit = "grey level" if worst <= 1 + _ROUNDING else "grey levels"
    passed = worst <= LEVELS + _ROUNDING and far <= RARE * values
    return Finding(
        STEP,
        passed,
        f"{_own(framework)}: largest difference {worst:.3g} {unit} of the network's input, and "
        f"{apart:.1e} of a probability" + ("" if passed else f"; worst: {where}"),
    )


def transform_of(named: Named, rules: Preprocessing, progress: Progress) -> tuple[str, Transform] | None:
    """The framework's name and its evaluation transform; None if none is named.

    Raises `NotTried` if it is not installed, cannot make the transform, or flags override what it would do.
    """
    if named.from_file is not None:
        chosen = _of_file(named.from_file, rules)
        overriding = set(named.said)
    elif named.preset is not None:
        chosen = _of_preset(named.preset, rules)
        overriding = set(named.said) - {"crop"}  # a preset takes any, and so does what is made below
    else:
        return None
    if chosen is None:
        return None
    framework, make = chosen
    if overriding:
        flags = ", ".join(f"--{field.replace('_', '-')}" for field in sorted(overriding))
        raise NotTried(f"{_own(framework)} was not tried: flags override it ({flags})")
    if find_spec(framework) is None:
        raise NotTried(f"{framework} is not installed, so its own transform was not tried")
    progress(f"importing {framework}")
    try:
        return framework, make()
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise NotTried(f"{_own(framework)} could not be made: {reason}") from error


def _own(framework: str) -> str:
    return f"{framework}' own transform" if framework.endswith("s") else f"{framework}'s own transform"


def _of_file(name: str, rules: Preprocessing) -> tuple[str, Callable[[], Transform]] | None:
    path = file_of(name)
    if path is None:
        return ("torchvision", lambda: _weights(name)) if torchvision_names.is_torchvision(name) else None
    content = read_json(path)
    if not isinstance(content, Mapping):
        return None
    if timm_files.is_timm(content):
        return "timm", lambda: _timm(timm_files.pretrained_of(content), rules)
    if hugging_face_files.is_hugging_face(content):
        return "transformers", lambda: _hugging_face(path)
    return None


def _of_preset(name: str, rules: Preprocessing) -> tuple[str, Callable[[], Transform]] | None:
    match name:
        case "torchvision" | "torchvision-v2":
            return "torchvision", lambda: _torchvision(rules)
        case "timm":
            return "timm", lambda: _timm({}, rules)
        case "hf-vit":
            return "transformers", lambda: _vit(rules)
        case _:
            return None  # Keras' presets: it has no transform, and resizes where a data set is read


def _weights(name: str) -> Transform:
    weights = torchvision_names.weights_of(name)
    transform: Transform = import_module("torchvision.models").get_weight(weights).transforms()
    return transform


def _torchvision(rules: Preprocessing) -> Transform:
    """What the weights' `transforms()` are, with the sizes of the preset."""
    presets = import_module("torchvision.transforms._presets")
    transform: Transform = presets.ImageClassification(crop_size=rules.crop[0], resize_size=rules.short_side)
    return transform


def _timm(pretrained: Mapping[str, Any], rules: Preprocessing) -> Transform:
    data = import_module("timm.data")
    size = (rules.channels, *rules.crop)
    test = pretrained.get("test_input_size")
    is_test = test is not None and tuple(test) == size != tuple(pretrained.get("input_size") or ())
    config = data.resolve_data_config({"input_size": size}, pretrained_cfg=dict(pretrained), use_test_size=is_test)
    transform: Transform = data.create_transform(**config, is_training=False)
    return (lambda image: transform(image.convert("L"))) if rules.colour == "grey" else transform


def _hugging_face(path: Path) -> Transform:
    """The processor that the file names, with Pillow; the file is copied, for its own name may be another."""
    transformers = import_module("transformers")
    with TemporaryDirectory() as folder:
        shutil.copyfile(path, Path(folder, _HUGGING_FACE_FILE))
        if path.name != "config.json" and (config := path.with_name("config.json")).is_file():
            shutil.copyfile(config, Path(folder, config.name))  # names the processor where the file itself does not
        auto = transformers.AutoImageProcessor
        try:
            processor = auto.from_pretrained(folder, backend="pil", local_files_only=True)
        except (TypeError, ValueError):  # transformers below 5 has another word for it
            processor = auto.from_pretrained(folder, use_fast=False, local_files_only=True)
    return lambda image: processor(image, return_tensors="np")["pixel_values"][0]


def _vit(rules: Preprocessing) -> Transform:
    transformers = import_module("transformers")
    made = getattr(transformers, "ViTImageProcessorPil", transformers.ViTImageProcessor)  # the first from 5 on
    processor = made(size={"height": rules.crop[0], "width": rules.crop[1]})
    return lambda image: processor(image, return_tensors="np")["pixel_values"][0]


def _levels(rules: Preprocessing) -> NDArray[np.float32]:
    """How many grey levels a difference of 1 in the network's input is, [C, 1, 1]."""
    return (np.asarray(rules.std, np.float32) / np.float32(rules.scale))[:, np.newaxis, np.newaxis]


def _apart(written: Written, original: Original, crop: NDArray[np.uint8], theirs: NDArray[np.float32]) -> float:
    """The largest difference of a probability between the written model and the original on the framework's input."""
    tensor = theirs[np.newaxis]
    if original.layout != "NCHW":
        tensor = tensor.transpose(0, 2, 3, 1)
    if original.layout == "flat":
        tensor = tensor.reshape(1, -1)
    answer = written.classify.named(crop)
    return difference(answer, original.probabilities_of(np.ascontiguousarray(tensor)))
