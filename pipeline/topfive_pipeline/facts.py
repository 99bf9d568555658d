"""What is told of an import before anything is built: who says it, what it is about, and what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topfive_pipeline.graphs.network import Network, Value
from topfive_pipeline.graphs.outputs import classes_of
from topfive_pipeline.graphs.scores import Kind, Scores, ScoresChoice
from topfive_pipeline.preprocessing.choices import Choices, Origin
from topfive_pipeline.preprocessing.flags import scale_text


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of what is told: who says so, what it is about, what it is, and where that is written."""

    origin: Origin
    about: str
    value: str
    where: str = ""


def network_facts(network: Network, *, model: Path) -> list[Fact]:
    """What was found in the `network` that was read from the file `model`."""
    megabytes = (network.model.ByteSize() + sum(path.stat().st_size for path in network.external.values())) / 1e6
    batch = "any number of images" if network.batch is None else f"always {network.batch}: it will be freed"
    return [
        Fact("found", "network", f"{model.name}, {megabytes:.1f} MB, opset {network.opset}"),
        *(Fact("found", "network", sentence) for sentence in network.said),
        Fact("found", "input", f"{network.input.described()}: {network.layout}, {network.layout_because}"),
        Fact("found", "batch", batch),
    ]


def output_facts(output: Value, *, kind: Kind, asked: ScoresChoice, done: Scores) -> list[Fact]:
    """What was found of the scores, which are of `kind`; by what was `asked`, `done` makes probabilities of them."""
    scores = _SCORES[kind] if asked == "auto" else f"{kind}; as said, {done} makes probabilities"
    return [
        Fact("found", "output", f"{output.described()}: {max(2, classes_of(output))} classes"),
        Fact("found", "scores", scores),
    ]


def label_facts(labels: Sequence[str] | None, *, where: str) -> list[Fact]:
    """The first of the labels, if there are any."""
    if labels is None:
        return []
    shown = ", ".join(labels[:_SHOWN]) + (", …" if len(labels) > _SHOWN else "")
    return [Fact("read", "labels", f"{len(labels)}: {shown}", where)]


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
_SHOWN: Final = 3
"""Labels in a line."""
_SCORES: Final[Mapping[Kind, str]] = {
    "softmax": "probabilities already: the network ends in a softmax, so none is added",
    "sigmoid": "probabilities already: the network ends in a sigmoid, so none is added",
    "log-softmax": "logarithms of probabilities: exp is added",
    "logits": "logits: what makes probabilities of them is added",
}
