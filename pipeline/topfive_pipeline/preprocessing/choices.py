"""What is known of a preprocessing so far, field by field, and who said it: flags, a file, a preset, the network.

What lives here: the merging, and the list of what still must be said. What does not: the files and presets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.hints import FLAGS, hint, size_text, suspicions
from topfive_pipeline.preprocessing.rules import Preprocessing, Size

Origin = Literal["said", "read", "found", "assumed"]
"""By a flag; from a file or a preset that was named; in the network; by a rule of ours that is printed."""

_FIELDS: Final = tuple(field.name for field in fields(Preprocessing))
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

    `network`: `crop`, if the graph fixes height and width, the colour `grey` if it takes one channel, and no
    normalisation if it takes bytes. `channels`:
    how many it takes; None: not known. The order of a layer's mean and std is that of its own colour: where another
    layer changes rgb to bgr or back, they are reversed.

    Raises `ConfigurationError` for a conflict: a crop that is not the network's size, colours or numbers that do not
    fit its channels, a short side that was meant for another crop.
    """
    merged, by_layer = _merged([*layers, network])
    _settle_crop(merged, network)
    _settle_colour(merged, network, channels)
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
    """Height and width of the network's input as far as flags or the network's graph say; presets adapt to it."""
    return next((layer["crop"].value for layer in layers if "crop" in layer), None)


def _merged(layers: Sequence[Choices]) -> tuple[dict[str, Choice], dict[str, Choices]]:
    """The winning choice of each field, and the layer that it comes from."""
    merged: dict[str, Choice] = {}
    by_layer: dict[str, Choices] = {}
    for layer in layers:
        of_another_rule = _OF_RESIZE if "resize" in merged else ()
        for field in layer.keys() - merged.keys() - set(of_another_rule):
            merged[field], by_layer[field] = layer[field], layer
    return {field: merged[field] for field in _FIELDS if field in merged}, by_layer


def _settle_crop(merged: dict[str, Choice], network: Choices) -> None:
    if "crop" not in network:
        return
    crop, taken = merged["crop"], network["crop"].value
    if crop.value == taken:
        merged["crop"] = crop if crop.origin == "said" else network["crop"]
        return
    text = size_text(taken)
    remedy = "leave --crop out, or import the network that was exported for it"
    if crop.origin != "said":
        resize = ""
        if "short_side" in merged and merged["resize"].value == "short-side":
            side = round(merged["short_side"].value * min(taken) / min(crop.value))
            resize = f" --resize short-side:{side}, the same part of each picture"
        remedy = f"say --crop {text}{resize}"
    raise ConfigurationError(
        f"{crop.where} says that images are cropped to {size_text(crop.value)}, but the network takes {text}; {remedy}"
    )


def _settle_colour(merged: dict[str, Choice], network: Choices, channels: int | None) -> None:
    if channels not in (None, 1, 3):
        raise ConfigurationError(
            f"the network takes {channels} channels, and images have three (rgb, bgr) or one (grey): export it with an "
            "input of one of these"
        )
    colour = merged.setdefault("colour", Choice(_ASSUMED["colour"], "assumed", _BY_RULE))
    found = network.get("colour", Choice("grey", "found", "one channel") if channels == 1 else None)
    if found is not None and found.value != colour.value:
        if colour.origin == "said":
            raise ConfigurationError(
                f"{colour.where} {colour.value}: the network takes one channel; say --colour grey, or leave it out"
            )
        merged["colour"] = found
    elif channels == 3 and colour.value == "grey":
        raise ConfigurationError(
            f"{colour.where} says grey, but the network takes three channels; say --colour rgb or bgr"
        )


def _in_order(numbers: Choice, said_with: Choice | None, colour: Choice, field: str) -> Choice:
    """`numbers` in the order of the network's channels, `colour`, where their layer says the order `said_with`."""
    values = tuple(numbers.value)
    if len(set(values)) == 1:
        return Choice(values[:1], numbers.origin, numbers.where)
    if colour.value == "grey":
        shown = ", ".join(f"{value:g}" for value in values)
        raise ConfigurationError(
            f"{numbers.where} has a {field} for each of three channels ({shown}), but the network takes one, grey; say "
            f"--{field} with one number"
        )
    if said_with is not None and said_with.value != colour.value:
        return Choice(values[::-1], numbers.origin, f"{numbers.where}, reversed to {colour.value}")
    return Choice(values, numbers.origin, numbers.where)


def _fit_to_crop(merged: dict[str, Choice], by_layer: Mapping[str, Choices]) -> None:
    """Squash without a size goes to the crop; a size that was meant for another crop must be large enough for it."""
    crop, resize = merged.get("crop"), merged.get("resize")
    if crop is None or resize is None:
        return
    if resize.value == "squash":
        merged.setdefault("resize_to", Choice(crop.value, resize.origin, resize.where))
    field = {"squash": "resize_to", "short-side": "short_side"}.get(resize.value, "")
    size = merged.get(field)
    if size is None or size.origin == "said" or by_layer.get(field) is by_layer["crop"]:
        return
    sides = size.value if isinstance(size.value, tuple) else (size.value, size.value)
    wanted = crop.value if isinstance(size.value, tuple) else (min(crop.value), min(crop.value))
    if sides[0] < wanted[0] or sides[1] < wanted[1]:
        remedy = "squash" if resize.value == "squash" else f"short-side:{round(wanted[0] / 0.875)}"
        raise ConfigurationError(
            f"{size.where} resizes images to {size_text(sides)}, less than the crop of {size_text(crop.value)}; say "
            f"--resize {remedy}, or what the network was trained on"
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
    value = {field: choice.value for field, choice in merged.items()}
    rule = value.get("resize")
    dropped = {"short_side"} if rule not in (None, "short-side") else set()
    if rule not in (None, "squash"):
        dropped.add("resize_to")
    if rule == "none":
        dropped |= {"interpolation", "antialias"}
    if rule == "letterbox" or (rule == "squash" and value.get("resize_to") == value.get("crop")):
        dropped.add("crop_rounding")  # nothing is cropped
    if rule in ("short-side", "squash") and not value["fill"]:
        dropped.add("fill")  # nothing is padded, or with the default
    if value.get("interpolation") == "nearest":
        dropped.add("antialias")
    return {field: choice for field, choice in merged.items() if field not in dropped}
