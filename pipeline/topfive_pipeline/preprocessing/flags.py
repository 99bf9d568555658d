"""The texts of the flags that say a preprocessing, and back: what `--resize short-side:256` means, and which flags mean it.

What lives here: pure functions between texts, `Choices` and `Preprocessing`. What does not: the command line itself
(`commands`), and which fields must be said (`preprocessing.choices`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn, get_args

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.rules import Colour, CropRounding, Interpolation, Preprocessing, Size

RESIZE_FORMS: Final = "short-side:256, squash, squash:256x256, letterbox, letterbox:114 or none"
_MAX_SIDE: Final = 8192
"""Pixels: above this it is a slip of the hand."""
_WHOLE: Final = re.compile(r"\d{1,9}", re.ASCII)


def choices_said(
    *,
    resize: str | None = None,
    crop: str | None = None,
    crop_rounding: str | None = None,
    interpolation: str | None = None,
    antialias: bool | None = None,
    mean: str | None = None,
    std: str | None = None,
    scale: str | None = None,
    colour: str | None = None,
) -> Choices:
    """What the flags of these names say; None: the flag was not given. Raises `ConfigurationError` with the right form.

    `mean` and `std` are in the order of the network's channels.
    """
    said: dict[str, Choice] = {}

    def add(flag: str, fields: Mapping[str, Any]) -> None:
        said.update({field: Choice(value, "said", flag) for field, value in fields.items()})

    if resize is not None:
        add("--resize", parse_resize(resize))
    if crop is not None:
        add("--crop", {"crop": parse_size(crop, "--crop")})
    if crop_rounding is not None:
        add("--crop-rounding", {"crop_rounding": parse_word(crop_rounding, "--crop-rounding", get_args(CropRounding))})
    if interpolation is not None:
        add("--interpolation", {"interpolation": parse_word(interpolation, "--interpolation", get_args(Interpolation))})
    if antialias is not None:
        add("--antialias" if antialias else "--no-antialias", {"antialias": antialias})
    if mean is not None:
        add("--mean", {"mean": parse_numbers(mean, "--mean")})
    if std is not None:
        add("--std", {"std": parse_numbers(std, "--std", positive=True)})
    if scale is not None:
        add("--scale", {"scale": parse_scale(scale)})
    if colour is not None:
        add("--colour", {"colour": parse_word(colour, "--colour", get_args(Colour))})
    return said


def parse_resize(text: str) -> dict[str, Any]:
    """The fields that `--resize TEXT` says: `resize`, and `short_side`, `resize_to` or `fill` where they are in it."""
    rule, colon, argument = text.strip().partition(":")
    if rule == "short-side" and colon:
        return {"resize": rule, "short_side": _side(argument, f"--resize {text}", "--resize short-side:256")}
    if rule == "squash":
        return {"resize": rule, **({"resize_to": parse_size(argument, "--resize squash:")} if colon else {})}
    if rule == "letterbox":
        return {"resize": rule, **({"fill": _level(argument, text)} if colon else {})}
    if rule == "none" and not colon:
        return {"resize": rule}
    what = "does not say how long the short side becomes" if rule == "short-side" else "is no rule of resizing"
    _refuse(f"--resize {text}", what, RESIZE_FORMS)


def parse_size(text: str, flag: str) -> Size:
    """Height and width, from `224` (both) or `48x192`."""
    height, cross, width = text.strip().lower().partition("x")
    forms = "224 for a square, 48x192 for height x width"
    size = _side(height, f"{flag} {text}", forms)
    return size, _side(width, f"{flag} {text}", forms) if cross else size


def parse_scale(text: str) -> float:
    """What levels are multiplied by, above 0, from `1/255`, `1` or `0.0039`."""
    above, slash, below = text.partition("/")
    try:
        scale = float(above) / float(below) if slash else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        scale = math.nan
    if not (math.isfinite(scale) and scale > 0):
        _refuse(f"--scale {text}", "is no number above 0", "1/255, 1/127.5, 1 or 0.0039")
    return scale


def parse_numbers(text: str, flag: str, *, positive: bool = False) -> tuple[float, ...]:
    """The finite numbers of a list with commas between them; `positive`: each must be above 0."""
    try:
        numbers = tuple(float(part) for part in text.strip().strip("[]()").split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        _refuse(f"{flag} {text}", "is no list of numbers", "0.485,0.456,0.406, or one number for all channels")
    if positive and min(numbers) <= 0:
        _refuse(f"{flag} {text}", "divides by a number that is not above 0", "0.229,0.224,0.225, or 1 for no division")
    if len(numbers) not in (1, 3):
        _refuse(f"{flag} {text}", f"has {len(numbers)} numbers", "one number, or one for each of three channels")
    return numbers


def parse_word(text: str, flag: str, words: Sequence[str]) -> str:
    """`text`, if it is one of `words`."""
    word = text.strip().lower()
    if word not in words:
        _refuse(f"{flag} {text}", "is not known", ", ".join(words[:-1]) + " or " + words[-1])
    return word


def command_line(rules: Preprocessing, *, network_crop: Size | None = None) -> str:
    """The flags that mean `rules`, for a shell: without those that are assumed, and without a crop that is found.

    `network_crop`: height and width that the network's graph fixes. Raises `ValueError` for a `fill` other than 0 that
    is no letterbox's: no flag says it.
    """
    flags = ["--resize", _resize_text(rules)]
    if rules.crop != network_crop:
        flags += ["--crop", size_text(rules.crop)]
    if rules.crop_rounding != "half-even":
        flags += ["--crop-rounding", rules.crop_rounding]
    if rules.resize != "none":
        flags += ["--interpolation", rules.interpolation]
    if not rules.antialias:
        flags += ["--no-antialias"]
    flags += ["--scale", scale_text(rules.scale)]
    flags += [_joined("--mean", rules.mean), _joined("--std", rules.std)]
    if rules.colour != "rgb":
        flags += ["--colour", rules.colour]
    return " ".join(flags)


def size_text(size: Size) -> str:
    """`224` for a square, else `48x192`."""
    height, width = size
    return str(height) if height == width else f"{height}x{width}"


def scale_text(scale: float) -> str:
    """`1/255` and its like where that is exactly `scale`, else the shortest decimal number that is."""
    for below in (255.0, 127.5, 256.0, 128.0):
        if scale == 1 / below:
            return f"1/{number_text(below)}"
    return number_text(scale)


def number_text(number: float) -> str:
    """The shortest decimal number that is exactly `number`, whole ones without a point."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _joined(flag: str, numbers: Sequence[float]) -> str:
    """With `=` before a minus, which would look like a flag."""
    text = ",".join(number_text(number) for number in numbers)
    return f"{flag}={text}" if text.startswith("-") else f"{flag} {text}"


def _resize_text(rules: Preprocessing) -> str:
    if rules.fill and rules.resize != "letterbox":
        raise ValueError(f"no flag says a fill of {rules.fill} with --resize {rules.resize}")
    if rules.resize == "short-side":
        return f"short-side:{rules.short_side}"
    if rules.resize == "squash" and rules.resize_to not in (None, rules.crop):
        assert rules.resize_to is not None
        return "squash:{}x{}".format(*rules.resize_to)
    return f"{rules.resize}:{rules.fill}" if rules.fill else rules.resize


def _side(text: str, said: str, forms: str) -> int:
    side = int(text) if _WHOLE.fullmatch(text) else 0
    if not 1 <= side <= _MAX_SIDE:
        _refuse(said, f"has a side that is no whole number of pixels from 1 to {_MAX_SIDE}", forms)
    return side


def _level(text: str, said: str) -> int:
    level = int(text) if _WHOLE.fullmatch(text) else 256
    if level > 255:
        _refuse(f"--resize {said}", "has a ground that is no grey level from 0 to 255", "letterbox:114")
    return level


def _refuse(said: str, what: str, forms: str) -> NoReturn:
    raise ConfigurationError(f"{said}: it {what}; say {forms}")
