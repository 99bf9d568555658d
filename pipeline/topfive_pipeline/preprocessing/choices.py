"""What is known of a preprocessing so far, field by field, and who said it: flags, a file, a preset, the network.

What lives here: the merging, and the list of what still must be said. What does not: the files and presets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.hints import FLAGS, hint, suspicions
from topfive_pipeline.preprocessing.rules import Preprocessing, Size

Origin = Literal["said", "read", "found", "assumed"]
"""By a flag; from a file or a preset that was named; in the network; by a rule of ours that is printed."""

_OF_RESIZE: Final = ("short_side", "resize_to")
"""These belong to the rule that they were said with: another rule does not inherit them."""
_REQUIRED: Final = ("resize", "short_side", "interpolation", "crop", "scale", "mean", "std")
_ASSUMED: Final[Mapping[str, Any]] = {"crop_rounding": "half-even", "antialias": True, "fill": 0, "colour": "rgb"}
_BY_RULE: Final = "topfive's default"


@dataclass(frozen=True, slots=True)
class Choice:
    """The value of one field of `Preprocessing`, its origin, and words for where that is: `preset torchvision`."""

    value: Any
    origin: Origin
    where: str


Choices = Mapping[str, Choice]
"""By the name of a field of `Preprocessing`."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that nobody has said, the flag that says it, and the values that are customary."""

    field: str
    flag: str
    hint: str


@dataclass(frozen=True, slots=True)
class Resolved:
    """The end of the merging.

    `rules` is None as long as anything is `missing`. `choices` are the fields that matter, for the screen: a short side
    only with the rule `short-side`, for example. `warnings`: full sentences about what looks like a mistake.
    """

    rules: Preprocessing | None
    choices: Choices
    missing: tuple[Missing, ...]
    warnings: tuple[str, ...]


def resolve(layers: Sequence[Choices], *, network: Choices, channels: int | None = None) -> Resolved:
    """Merge `layers`, the first of which wins (flags, then a file or preset), with what was found in the network.

    `network`: `crop`, if the graph fixes height and width. `channels`: how many it takes; None: not fixed. The order of
    a layer's mean and std is that of its own colour: where another layer changes rgb to bgr or back, they are reversed.

    Raises `ConfigurationError` for a conflict: a crop that is not the network's size, colours or numbers that do not
    fit its channels, a short side that was meant for another crop.
    """
    merged, by_layer = _merged([*layers, network])
    _settle_crop(merged, network)
    _settle_colour(merged, channels)
    for field in ("mean", "std"):
        if field in merged:
            merged[field] = _in_order(merged[field], by_layer[field].get("colour"), merged["colour"], field)
    for field, value in _ASSUMED.items():
        merged.setdefault(field, Choice(value, "assumed", _BY_RULE))
    _fit_to_crop(merged, by_layer)
    relevant = _relevant(merged)
    missing = tuple(
        Missing(field, FLAGS[field], hint(field, {name: choice.value for name, choice in merged.items()}))
        for field in _required(merged)
        if field not in merged
    )
    if missing:
        return Resolved(None, relevant, missing, ())
    rules = Preprocessing(**{field: choice.value for field, choice in relevant.items()})
    return Resolved(rules, relevant, (), suspicions(rules))


def crop_known(*layers: Choices) -> Size | None:
    """Height and width of the network's input as far as flags or the network's graph say; presets and files adapt."""
    return next((layer["crop"].value for layer in layers if "crop" in layer), None)


def _merged(layers: Sequence[Choices]) -> tuple[dict[str, Choice], dict[str, Choices]]:
    """The winning choice of each field, and the layer that it comes from."""
    merged: dict[str, Choice] = {}
    by_layer: dict[str, Choices] = {}
    for layer in layers:
        has_rule = "resize" in merged
        for field, choice in layer.items():
            if field in merged or (field in _OF_RESIZE and has_rule):
                continue
            merged[field] = choice
            by_layer[field] = layer
    return merged, by_layer


def _settle_crop(merged: Mapping[str, Choice], network: Choices) -> None:
    if "crop" not in network or merged["crop"].value == network["crop"].value:
        return
    crop, taken = merged["crop"], network["crop"].value
    text = _size(taken)
    remedy = "leave --crop out, or import the network that was exported for it"
    if crop.origin != "said":
        resize = ""
        if "short_side" in merged and merged["resize"].value == "short-side":
            side = round(merged["short_side"].value * min(taken) / min(crop.value))
            resize = f" --resize short-side:{side}, the same part of each picture"
        remedy = f"say --crop {text}{resize}"
    raise ConfigurationError(
        f"{crop.where} says that images are cropped to {_size(crop.value)}, but the network takes {text}; {remedy}"
    )


def _settle_colour(merged: dict[str, Choice], channels: int | None) -> None:
    colour = merged.get("colour")
    if channels not in (None, 1, 3):
        raise ConfigurationError(
            f"the network takes {channels} channels; images have three (rgb, bgr) or one (grey): export it with an input "
            "of one of these"
        )
    if channels == 1:
        if colour is not None and colour.origin == "said" and colour.value != "grey":
            raise ConfigurationError(
                f"{colour.where} {colour.value}: the network takes one channel; say --colour grey, or leave it out"
            )
        merged["colour"] = colour if colour and colour.value == "grey" else Choice("grey", "found", "one channel")
    elif channels == 3 and colour is not None and colour.value == "grey":
        raise ConfigurationError(
            f"{colour.where} says grey, but the network takes three channels; say --colour rgb or bgr"
        )
    else:
        merged.setdefault("colour", Choice(_ASSUMED["colour"], "assumed", _BY_RULE))


def _in_order(numbers: Choice, said_with: Choice | None, colour: Choice, field: str) -> Choice:
    """`numbers` in the order of the network's channels, `colour`, where their layer says the order `said_with`."""
    values = tuple(numbers.value)
    if colour.value == "grey":
        if len(set(values)) > 1:
            shown = ", ".join(f"{value:g}" for value in values)
            raise ConfigurationError(
                f"{numbers.where} has a {field} for each of three channels ({shown}), but the network takes one, grey; "
                f"say --{field} with one number"
            )
        return Choice(values[:1], numbers.origin, numbers.where)
    if said_with is not None and said_with.value != colour.value and len(set(values)) > 1:
        return Choice(values[::-1], numbers.origin, f"{numbers.where}, reversed to {colour.value}")
    return Choice(values, numbers.origin, numbers.where)


def _fit_to_crop(merged: dict[str, Choice], by_layer: Mapping[str, Choices]) -> None:
    """Squash without a size goes to the crop; a short side from elsewhere must be long enough for the crop."""
    crop, resize = merged.get("crop"), merged.get("resize")
    if crop is None or resize is None:
        return
    if resize.value == "squash":
        merged.setdefault("resize_to", Choice(crop.value, resize.origin, resize.where))
    side = merged.get("short_side")
    if resize.value == "short-side" and side and side.value < min(crop.value):
        if by_layer["short_side"] is not by_layer["crop"] and side.origin != "said":
            raise ConfigurationError(
                f"{side.where} resizes the short side to {side.value}, less than the crop of {_size(crop.value)}; say "
                f"--resize short-side:{round(min(crop.value) / 0.875)}, or what the network was trained on"
            )


def _required(merged: Mapping[str, Choice]) -> list[str]:
    """The fields that somebody must have said."""
    rule = merged["resize"].value if "resize" in merged else None
    unneeded = {"short_side"} if rule != "short-side" else set()
    if rule == "none":
        unneeded.add("interpolation")
    return [field for field in _REQUIRED if field not in unneeded]


def _relevant(merged: Mapping[str, Choice]) -> dict[str, Choice]:
    """The fields that make a difference under the rules that are chosen."""
    rule = merged["resize"].value if "resize" in merged else None
    dropped = {"short_side"} if rule != "short-side" else set()
    if rule not in (None, "squash"):
        dropped.add("resize_to")
    if rule == "none":
        dropped |= {"interpolation", "antialias"}
    if "interpolation" in merged and merged["interpolation"].value == "nearest":
        dropped.add("antialias")
    return {field: choice for field, choice in merged.items() if field not in dropped}


def _size(size: Size) -> str:
    return "{}x{}".format(*size)
