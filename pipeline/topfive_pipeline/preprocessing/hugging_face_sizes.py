"""Reads `size`, `crop_size` and `crop_pct` of Hugging Face's `preprocessor_config.json`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.fields import Fields, is_size, shown
from topfive_pipeline.preprocessing.hugging_face_processors import Processor
from topfive_pipeline.preprocessing.rules import Size

_WARPED_FROM: Final = 384
"""ConvNeXT squashes from this size on, and crops below."""
_FORMS: Final = '{"height": 224, "width": 224}, {"shortest_edge": 224} or one number'


def resizing(fields: Fields, processor: Processor, said: Collection[str]) -> dict[str, Any]:
    """The fields `resize`, `short_side` or `resize_to`, and `crop`; what is `said` is not looked at."""
    found: dict[str, Any] = {}
    if "resize" not in said:
        found |= _resize(fields, processor)
    if "crop" in said:
        return found
    if fields.flag("do_center_crop", default=processor.crops):
        crop = _crop(fields, processor)
        if found.get("crop", crop) != crop:
            raise ConfigurationError(
                f"{fields.path}: it crops to {shown(found['crop'])} and then to {shown(crop)}; say the last with --crop"
            )
        found["crop"] = crop
    elif "crop" not in found:
        if found.get("resize") == "squash":
            found["crop"] = found["resize_to"]
        elif "resize" not in said:
            raise ConfigurationError(
                f"{fields.path}: it leaves images at different sizes (there is neither a crop nor a size for both "
                "sides), and a network takes one; say --crop, or --resize"
            )
    return found


def _resize(fields: Fields, processor: Processor) -> dict[str, Any]:
    if not fields.flag("do_resize", default=True):
        return {"resize": "none"}
    size = _size(fields, processor)
    if processor.edge_by == "convnext":
        return _convnext(fields, processor, size)
    if processor.edge_by == "poolformer" and (fraction := fields.number("crop_pct", processor.crop_pct or 1)):
        side = size[0] if isinstance(size, tuple) else size
        if isinstance(size, tuple) and size[0] != size[1]:
            return {"resize": "squash", "resize_to": (int(size[0] / fraction), int(size[1] / fraction))}
        return {"resize": "short-side", "short_side": int(side / fraction)}
    if isinstance(size, tuple):
        return {"resize": "squash", "resize_to": size}
    return {"resize": "short-side", "short_side": int(256 / 224 * size) if processor.edge_by == "levit" else size}


def _convnext(fields: Fields, processor: Processor, size: Size | int) -> dict[str, Any]:
    if isinstance(size, tuple):
        fields.refuse("size", 'an object with "shortest_edge"')
    if size >= _WARPED_FROM:
        return {"resize": "squash", "resize_to": (size, size)}
    fraction = fields.number("crop_pct", processor.crop_pct or 1)
    if not fraction > 0:
        fields.refuse("crop_pct", "a number above 0")
    return {"resize": "short-side", "short_side": int(size / fraction), "crop": (size, size)}


def _size(fields: Fields, processor: Processor) -> Size | int:
    """Both sides, or the shorter one."""
    size = fields.get("size", processor.size)
    if is_size(size):
        return (size, size) if processor.squares else int(size)
    if isinstance(size, Mapping):
        given = {name: value for name, value in size.items() if value is not None}
        if given.keys() == {"height", "width"} and all(map(is_size, given.values())):
            return given["height"], given["width"]
        if given.keys() == {"shortest_edge"} and is_size(given["shortest_edge"]):
            return int(given["shortest_edge"])
        if "longest_edge" in given or "max_height" in given:
            raise ConfigurationError(
                f"{fields.path}: size is {shown(size)}, which leaves images at different sizes; say --resize letterbox "
                "and --crop, if the network was trained on padded images, or what it was trained on"
            )
    if isinstance(size, list) and size and is_size(size[0]) and size == size[:1] * len(size):
        return size[0], size[0]
    if size is None:
        raise ConfigurationError(f"{fields.path}: size is missing; say --resize and --crop")
    raise _unreadable("size", size, fields)


def _crop(fields: Fields, processor: Processor) -> Size:
    size = fields.get("crop_size", processor.crop_size)
    if is_size(size):
        return size, size
    if isinstance(size, Mapping) and is_size(size.get("height")) and is_size(size.get("width")):
        return size["height"], size["width"]
    if isinstance(size, list) and size and is_size(size[0]) and size == size[:1] * len(size):
        return size[0], size[0]
    if size is None:
        raise ConfigurationError(f"{fields.path}: do_center_crop is true, but crop_size is missing; say --crop")
    raise _unreadable("crop_size", size, fields)


def _unreadable(name: str, size: object, fields: Fields) -> ConfigurationError:
    return ConfigurationError(
        f"{fields.path}: {name} is {shown(size)}; it must be {_FORMS}: say --{'crop' if 'crop' in name else 'resize'}"
    )
