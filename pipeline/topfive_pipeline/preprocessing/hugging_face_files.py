"""Reads Hugging Face's `preprocessor_config.json`, as the image processor that it names would use it.

Sources: transformers 5.24, `image_processing_backends` for the common steps, `models/*/image_processing_*.py` for the
processors that differ. Older releases wrote `size` as one number, and called processors feature extractors. The crop's
odd pixel is `(side - crop) // 2` there: rounded down.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.fields import Fields, shown
from topfive_pipeline.preprocessing.hugging_face_processors import Processor, processor_of
from topfive_pipeline.preprocessing.hugging_face_sizes import resizing
from topfive_pipeline.preprocessing.presets import IMAGENET_MEAN, IMAGENET_STD

_RESAMPLES: Final = {0: "nearest", 2: "bilinear", 3: "bicubic"}
_NOT_HERE: Final = {1: "Lanczos", 4: "box", 5: "Hamming"}
"""Numbers of `PIL.Image.Resampling`."""
_MARKS: Final = frozenset({"image_processor_type", "feature_extractor_type", "image_mean", "do_normalize", "do_resize"})
_HONOURED: Final = frozenset(
    {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_flip_channel_order", "do_convert_rgb"}
    | {"do_reduce_labels"}  # of segmentation maps only
)


def is_hugging_face(content: Mapping[str, Any]) -> bool:
    """Whether a file with this content is one of Hugging Face's image processors."""
    return bool(_MARKS & content.keys()) or isinstance(content.get("image_processor"), Mapping)


def read(content: Mapping[str, Any], *, path: Path, said: Collection[str]) -> Choices:
    """What `content`, of the file at `path`, says; see `files.read`."""
    inner = content.get("image_processor")
    fields = Fields(inner if isinstance(inner, Mapping) else content, path)
    processor = processor_of(fields)
    _refuse_other_steps(fields)
    where = f"{path.name} ({processor.name or 'Hugging Face'})"
    found: dict[str, Any] = {"antialias": True, "crop_rounding": "floor", "fill": 0}
    found |= resizing(fields, processor, said)
    if found.get("resize") != "none" and "interpolation" not in said:
        found["interpolation"] = _interpolation(fields, processor)
    found |= _normalising(fields, processor)
    flips = processor.flips and fields.flag("do_flip_channel_order", default=True)
    found["colour"] = "bgr" if flips else "rgb"
    if flips:  # the file's numbers are applied before the flip
        found["mean"], found["std"] = found["mean"][::-1], found["std"][::-1]
    return {field: Choice(value, "read", where) for field, value in found.items()}


def _refuse_other_steps(fields: Fields) -> None:
    for name, value in fields.content.items():
        if name.startswith("do_") and value and name not in _HONOURED:
            raise ConfigurationError(
                f"{fields.path}: {name} is {shown(value)}, a step that cannot be done here; say the preprocessing with "
                "flags (--resize, --crop, --interpolation, --scale, --mean, --std), or set it to false if the network "
                "does well without it"
            )


def _interpolation(fields: Fields, processor: Processor) -> str:
    number = fields.get("resample", processor.resample)
    if number is None:
        raise ConfigurationError(f"{fields.path}: resample is missing; say --interpolation, bicubic or bilinear")
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    if is_number and number in _RESAMPLES:
        return _RESAMPLES[number]
    name = f" (Pillow's {_NOT_HERE[number]} filter)" if is_number and number in _NOT_HERE else ""
    raise ConfigurationError(
        f"{fields.path}: resample is {shown(number)}{name}, which cannot be done here; say --interpolation bicubic, "
        "the nearest to it, and check it on photos"
    )


def _normalising(fields: Fields, processor: Processor) -> dict[str, Any]:
    """Scale, mean and std: (level * scale - mean) / std."""
    scale = fields.number("rescale_factor", 1 / 255) if fields.flag("do_rescale", default=True) else 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    deviation = fields.numbers("image_std", processor.std or IMAGENET_STD)
    if processor.normalises and fields.flag("do_normalize", default=True):
        if (fields.get("image_mean") is None or fields.get("image_std") is None) and processor.mean is None:
            raise ConfigurationError(
                f"{fields.path}: do_normalize is true, but image_mean or image_std is missing; say --mean and --std"
            )
        mean, std = fields.numbers("image_mean", processor.mean or IMAGENET_MEAN), deviation
    if processor.has_offset:  # EfficientNet: 1 less after scaling, and divided by the std once more for the classifier
        if fields.flag("rescale_offset", default=False) and fields.flag("do_rescale", default=True):
            mean = tuple(number + 1 for number in mean)
        if fields.flag("include_top", default=True):
            std = tuple(a * b for a, b in zip(_as_many(std, deviation), deviation, strict=True))
            mean = _as_many(mean, deviation)
    if min(std) <= 0 or scale <= 0:
        raise ConfigurationError(f"{fields.path}: image_std and rescale_factor must be above 0; correct them")
    return {"scale": scale, "mean": mean, "std": std}


def _as_many(numbers: tuple[float, ...], others: tuple[float, ...]) -> tuple[float, ...]:
    return numbers * len(others) if len(numbers) == 1 else numbers
