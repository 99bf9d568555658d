"""The texts of the flags that say a preprocessing, such as `--resize short-side:256`, and back: which flags mean it.

What lives here: pure functions between texts, `Choices` and `Preprocessing`. What does not: the command line itself
(`commands`), and which fields must be said (`preprocessing.choices`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, get_args

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, Choices
from topfive_pipeline.preprocessing.hints import size_text
from topfive_pipeline.preprocessing.rules import Colour, CropRounding, Interpolation, Preprocessing, Size

RESIZE_FORMS: Final = "short-side:256, squash, squash:256x256, letterbox, letterbox:114 or none"
_MAX_SIDE: Final = 8192
"""Pixels: above this it is a slip of the hand."""
_SMALLEST: Final = 1e-9
_LARGEST: Final = 1e9
"""Of means and factors; beyond these, float32 soon has no number for a level."""
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
    texts = {
        "--crop": crop,
        "--crop-rounding": crop_rounding,
        "--interpolation": interpolation,
        "--mean": mean,
        "--std": std,
        "--scale": scale,
        "--colour": colour,
    }
    if resize is not None:
        said |= {field: Choice(value, "said", "--resize") for field, value in parse_resize(resize).items()}
    for flag, text in texts.items():
        if text is not None:
            said[flag.removeprefix("--").replace("-", "_")] = Choice(_PARSERS[flag](text), "said", flag)
    if antialias is not None:
        said["antialias"] = Choice(antialias, "said", "--antialias" if antialias else "--no-antialias")
    return said


def parse_resize(text: str) -> dict[str, Any]:
    """The fields that `--resize TEXT` says: `resize`, and `short_side`, `resize_to` or `fill` where they are in it."""
    rule, colon, argument = text.strip().partition(":")
    if rule == "short-side" and colon:
        return {"resize": rule, "short_side": _side(argument, f"--resize {text}", "--resize short-side:256")}
    if rule == "squash":
        return {
            "resize": rule,
            **({"resize_to": parse_size(argument, "--resize squash:", between="")} if colon else {}),
        }
    if rule == "letterbox":
        return {"resize": rule, **({"fill": _level(argument, text)} if colon else {})}
    if rule == "none" and not colon:
        return {"resize": rule}
    what = "does not say how long the short side becomes" if rule == "short-side" else "is no rule of resizing"
    raise _wrong(f"--resize {text}", what, RESIZE_FORMS)


def parse_size(text: str, flag: str, *, between: str = " ") -> Size:
    """Height and width, from `224` (both) or `48x192`, which follows `flag` and `between`."""
    height, cross, width = text.strip().lower().partition("x")
    said = f"{flag}{between}{text}"
    forms = "224 for a square, 48x192 for height x width"
    size = _side(height, said, forms)
    return size, _side(width, said, forms) if cross else size


def parse_scale(text: str) -> float:
    """What levels are multiplied by, above 0, from `1/255`, `1` or `0.0039`."""
    above, slash, below = text.partition("/")
    try:
        scale = float(above) / float(below) if slash else float(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        scale = math.nan
    if math.isfinite(scale) and scale > 0 and not _SMALLEST <= scale <= _LARGEST:
        raise _wrong(f"--scale {text}", "is a number that nobody means", "1/255, 1/127.5, 1 or 0.0039")
    if not (math.isfinite(scale) and scale > 0):
        raise _wrong(f"--scale {text}", "is no number above 0", "1/255, 1/127.5, 1 or 0.0039")
    return scale


def parse_numbers(text: str, flag: str, *, positive: bool = False) -> tuple[float, ...]:
    """The finite numbers of a list with commas between them; `positive`: each must be above 0."""
    try:
        numbers = tuple(float(part) for part in text.strip().strip("[]()").split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise _wrong(f"{flag} {text}", "is no list of numbers", "0.485,0.456,0.406, or one number for all channels")
    if max(map(abs, numbers)) > _LARGEST:
        raise _wrong(f"{flag} {text}", "has a number that nobody means", "0.485,0.456,0.406, or 123.675,116.28,103.53")
    if positive and min(numbers) < _SMALLEST:
        raise _wrong(
            f"{flag} {text}", "divides by a number that is not above 0", "0.229,0.224,0.225, or 1 for no division"
        )
    if len(numbers) not in (1, 3):
        raise _wrong(f"{flag} {text}", f"has {len(numbers)} numbers", "one number, or one for each of three channels")
    return numbers


def parse_word(text: str, flag: str, words: Sequence[str]) -> str:
    """`text`, if it is one of `words`."""
    word = text.strip().lower()
    if word not in words:
        raise _wrong(f"{flag} {text}", "is not known", ", ".join(words[:-1]) + " or " + words[-1])
    return word


def command_line(rules: Preprocessing, *, network_crop: Size | None = None) -> str:
    """The flags that mean `rules`, for a shell: without those that are assumed, and without a crop that is found.

    `network_crop`: height and width that the network's graph fixes. Raises `ValueError` for a `fill` other than 0 that
    is no letterbox's: no flag says it.
    """
    flags = ["--resize", _resize_text(rules)]
    if rules.crop != network_crop:
        flags += ["--crop", size_text(rules.crop)]
    if rules.crop_rounding != "half-even" and _is_cropped(rules):
        flags += ["--crop-rounding", rules.crop_rounding]
    if rules.resize != "none":
        flags += ["--interpolation", rules.interpolation]
    if not rules.antialias and rules.resize != "none" and rules.interpolation != "nearest":
        flags += ["--no-antialias"]
    flags += ["--scale", scale_text(rules.scale)]
    flags += [_joined("--mean", rules.mean), _joined("--std", rules.std)]
    if rules.colour != "rgb":
        flags += ["--colour", rules.colour]
    return " ".join(flags)


def scale_text(scale: float) -> str:
    """`1/255` and its like where that is exactly `scale`, else the shortest decimal number that is."""
    for below in (255.0, 127.5, 256.0, 128.0):
        if scale == 1 / below:
            return f"1/{number_text(below)}"
    return number_text(scale)


def number_text(number: float) -> str:
    """The shortest decimal number that is exactly `number`, whole ones without a point."""
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)


def _is_cropped(rules: Preprocessing) -> bool:
    to_crop = rules.resize == "squash" and rules.resize_to in (None, rules.crop)
    return rules.resize != "letterbox" and not to_crop


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
        raise _wrong(said, f"has a side that is no whole number of pixels from 1 to {_MAX_SIDE}", forms)
    return side


def _level(text: str, said: str) -> int:
    level = int(text) if _WHOLE.fullmatch(text) else 256
    if level > 255:
        raise _wrong(f"--resize {said}", "has a ground that is no grey level from 0 to 255", "letterbox:114")
    return level


def _wrong(said: str, what: str, forms: str) -> ConfigurationError:
    return ConfigurationError(f"{said}: it {what}; say {forms}")


_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "--crop": partial(parse_size, flag="--crop"),
    "--crop-rounding": partial(parse_word, flag="--crop-rounding", words=get_args(CropRounding)),
    "--interpolation": partial(parse_word, flag="--interpolation", words=get_args(Interpolation)),
    "--mean": partial(parse_numbers, flag="--mean"),
    "--std": partial(parse_numbers, flag="--std", positive=True),
    "--scale": parse_scale,
    "--colour": partial(parse_word, flag="--colour", words=get_args(Colour)),
}
"""How the text of each flag is read, but for `--resize`, which says several fields."""
