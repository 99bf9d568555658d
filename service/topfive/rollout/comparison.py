"""Compares what two versions say of one image: values without behaviour, and two pure functions.

What lives here: the measures. What does not: where they are counted (`rollout.shadow`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from topfive.backends.base import Row

TOP: Final = 5
"""How many labels of an answer are compared."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """The labels that one image got, most probable first, each with its probability; at most `TOP`."""

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the shadow's answer differs from the live one for one image.

    `agrees`: both have the same first label, or none. `change`: |p_shadow - p_live| of the live answer's first label;
    where the shadow does not list that label, its probability counts as 0. `overlap`: the share of labels that both
    list, of the longer list.
    """

    agrees: bool
    change: float
    overlap: float


def labelled(row: Row) -> Labelled:
    """What a graph put out for one image; a place whose label is empty holds no answer."""
    return first_of(zip(row["classes"].tolist(), row["probabilities"].tolist(), strict=True))


def first_of(pairs: Iterable[tuple[object, float]]) -> Labelled:
    """The first `TOP` of (label, probability), without those whose label is empty."""
    kept = [(str(label), float(probability)) for label, probability in pairs if label][:TOP]
    return Labelled(tuple(label for label, _ in kept), tuple(probability for _, probability in kept))


def compare(live: Labelled, shadow: Labelled) -> Comparison:
    """How `shadow` differs from `live`."""
    longer = max(len(live.labels), len(shadow.labels))
    overlap = len(set(live.labels) & set(shadow.labels)) / longer if longer else 1.0
    if not live.labels:
        return Comparison(not shadow.labels, 0.0, overlap)
    first = live.labels[0]
    theirs = dict(zip(shadow.labels, shadow.probabilities, strict=True)).get(first, 0.0)
    return Comparison(shadow.labels[:1] == (first,), abs(theirs - live.probabilities[0]), overlap)
