"""What is said of a preprocessing, as lines for the screen: one for each step and each place that says something."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from topfive_pipeline.importer import Fact
from topfive_pipeline.preprocessing.choices import Choices, Origin
from topfive_pipeline.preprocessing.flags import scale_text


def in_order(facts: Sequence[Fact]) -> list[Fact]:
    """`facts` by who says them: the network, the flags, files, and rules of ours."""
    return sorted(facts, key=lambda fact: _ORDER.index(fact.origin))


def preprocessing_facts(choices: Choices) -> list[Fact]:
    """A line for each step and each place that says something of it."""
    facts = []
    for step, fields in _STEPS.items():
        said: dict[tuple[Origin, str], list[str]] = {}
        for field in fields:
            if (choice := choices.get(field)) is not None:
                said.setdefault((choice.origin, choice.where), []).append(_WORDS[field](choice.value))
        facts += [Fact(origin, step, ", ".join(words), where) for (origin, where), words in said.items()]
    return facts


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


_ORDER: Final[Sequence[Origin]] = ("found", "said", "read", "assumed")
_STEPS: Final = {
    "resize": ("resize", "short_side", "resize_to", "interpolation", "antialias", "fill"),
    "crop": ("crop", "crop_rounding"),
    "colour": ("colour",),
    "normalise": ("scale", "mean", "std"),
}
_WORDS: Final[Mapping[str, Callable[[Any], str]]] = {
    "resize": str,
    "short_side": lambda value: f"short side {value}",
    "resize_to": lambda value: f"to {value[0]} x {value[1]}",
    "interpolation": str,
    "antialias": lambda value: "antialias" if value else "no antialias",
    "fill": lambda value: f"fill {value}",
    "crop": lambda value: f"{value[0]} x {value[1]}",
    "crop_rounding": lambda value: f"odd margins {value}",
    "colour": str,
    "scale": lambda value: f"scale {scale_text(value)}",
    "mean": lambda value: f"mean {_numbers(value)}",
    "std": lambda value: f"std {_numbers(value)}",
}
