"""What differs between Hugging Face's image processors: defaults of fields that old files lack, and steps of their own.

Source: the classes in transformers 5.24, for the networks of `AutoModelForImageClassification`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.fields import Fields, shown
from topfive_pipeline.preprocessing.presets import IMAGENET_MEAN, IMAGENET_STD

_HALF: Final = (0.5, 0.5, 0.5)
_CLIP_MEAN: Final = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD: Final = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """An image processor: the values of fields that its file does not have, and which steps are its own.

    `squares`: a `size` of one number means a square, else the shorter side. `crops`: the default of `do_center_crop`.
    `edge_by`: how the shorter side is lengthened for a later crop: `crop_pct` (ConvNeXT below 384, PoolFormer), or the
    fixed 256/224 of LeViT. `normalises`: whether mean and std are applied at all. `flips`: to BGR, unless the file says
    no. `has_offset`: EfficientNet's `rescale_offset` and `include_top`.
    """

    name: str = ""
    size: Any = None
    resample: int | None = None
    squares: bool = True
    crops: bool = False
    crop_size: Any = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    edge_by: str | None = None
    crop_pct: float | None = None
    normalises: bool = True
    flips: bool = False
    has_offset: bool = False


def _square(side: int, **fields: Any) -> dict[str, Any]:
    return {
        "size": {"height": side, "width": side},
        "squares": True,
        "resample": 3,
        "mean": _HALF,
        "std": _HALF,
        **fields,
    }


def _short(side: int, crop: int, **fields: Any) -> dict[str, Any]:
    of_size = {"size": {"shortest_edge": side}, "squares": False, "crops": True, "crop_size": crop}
    return {**of_size, "resample": 3, "mean": IMAGENET_MEAN, "std": IMAGENET_STD, **fields}


_CLIP: Final = _short(224, 224, mean=_CLIP_MEAN, std=_CLIP_STD)
_MOBILENET: Final = _short(256, 224, resample=2, mean=_HALF, std=_HALF)
_PROCESSORS: Final[Mapping[str, Mapping[str, Any]]] = {
    "": {},
    "Beit": _square(224, crops=False, crop_size=224),
    "Bit": _CLIP,
    "CLIP": _CLIP,
    "ConvNext": _short(
        384, 384, crops=False, crop_size=None, mean=_HALF, std=_HALF, edge_by="convnext", crop_pct=0.875
    ),
    "DeiT": _square(256, crops=True, crop_size=224),
    "EfficientNet": _square(346, crop_size=289, has_offset=True),
    "Levit": _short(224, 224, edge_by="levit"),
    "MobileNetV1": _MOBILENET,
    "MobileNetV2": _MOBILENET,
    "MobileViT": _short(224, 256, normalises=False, flips=True, mean=_HALF, std=_HALF),
    "PoolFormer": _short(224, 224, edge_by="poolformer", crop_pct=0.9),
    "Pvt": _square(224, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "Segformer": _square(512, resample=2, mean=IMAGENET_MEAN, std=IMAGENET_STD),
    "Siglip": _square(224, squares=False),
    "ViT": _square(224, resample=2),
}
_OTHER_STEPS: Final[Mapping[str, str]] = {
    "Perceiver": "crops a part of each image before it resizes",
    "PPLCNet": "rounds the longer side differently",
    "TextNet": "makes sides multiples of 32",
    "ImageGPT": "turns pixels into numbers of colour clusters",
    "Donut": "pads documents",
    "Siglip2": "cuts images into patches",
    "Gemma3": "cuts images into several",
    "TimmWrapper": "leaves it to timm, whose config.json is beside it",
}
_ENDINGS: Final = re.compile(r"(ImageProcessor|FeatureExtractor)(Fast|Pil)?$")


def processor_of(fields: Fields) -> Processor:
    """The processor that a file names, or one without defaults where it names none.

    Raises `ConfigurationError` for one whose steps cannot be done here, or are not known.
    """
    named = fields.get("image_processor_type") or fields.get("feature_extractor_type") or ""
    kind = _ENDINGS.sub("", str(named))
    if kind in _PROCESSORS:
        return Processor(name=str(named), **_PROCESSORS[kind])
    why = _OTHER_STEPS.get(kind)
    if why is not None:
        why = f"{named} {why}, which cannot be done here"
    else:
        why = f"the steps of {shown(named)} are not known here"
    known = ", ".join(sorted(filter(None, _PROCESSORS)))
    raise ConfigurationError(
        f"{fields.path}: {why}; say the preprocessing with flags (--resize, --crop, --interpolation, --scale, --mean, "
        f"--std). Read are the image processors of {known}"
    )
