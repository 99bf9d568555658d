"""Ranks preprocessings by how well a network knows labelled photos through each: wrong ones look sure, and are worse.

The measure is the negative log-likelihood of the true label, -log p, averaged over photos: it uses every photo, where
the count of right answers uses those near the border only. Differences are paired, photo by photo, so what makes a
photo hard cancels out; their standard error is that of the mean of paired differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.reference import network_input, pixels
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.scores import probabilities

FEWEST: Final = 50
"""Fewer labelled photos tell little apart."""
MOST: Final = 300
"""More would take minutes, and tell little more apart."""
CLEAR: Final = 3.0
"""Standard errors between two preprocessings of which one is clearly better: by chance one time in 700."""
_LEAST: Final = 1e-9
"""A probability below this counts as this: one photo shall not decide."""

Losses = NDArray[np.float64]
"""-log p of the true label, in nats, for each photo."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A preprocessing's place: its mean loss, how far that is behind the best, with its standard error, and its top-1.

    `clear`: whether it is clearly worse than the best.
    """

    name: str
    rules: Preprocessing | None
    loss: float
    behind: float
    error: float
    top_1: float

    @property
    def clear(self) -> bool:
        return self.behind > CLEAR * self.error


@dataclass(frozen=True, slots=True)
class Tried:
    """The losses of one preprocessing, and which photos it got right."""

    name: str
    rules: Preprocessing | None
    losses: Losses
    right: NDArray[np.bool_]


def labelled(photos: Sequence[Photo], *, what_for: str) -> list[Photo]:
    """The photos whose class is known, at most `MOST`; raises `ConfigurationError` if they are too few."""
    known = [photo for photo in photos if photo.label is not None]
    if len(known) < FEWEST:
        raise ConfigurationError(
            f"{what_for} needs at least {FEWEST} photos whose class is known, and {len(known)} are; give --photos a "
            "folder with labels.csv (columns file and index, or file and label), or with a folder for each class"
        )
    if len(known) > MOST:
        known = [known[index] for index in np.linspace(0, len(known) - 1, MOST).round().astype(int)]
    return known


def try_out(
    network: Graph,
    output: str,
    candidates: Sequence[tuple[str, Preprocessing]],
    photos: Sequence[Photo],
    *,
    layout: str,
    scores: str,
    progress: Callable[[int, int], None],
) -> list[Tried]:
    """Send `photos` through each of `candidates` and then through `network`; `progress` gets photos done and all."""
    chances = np.zeros((len(candidates), len(photos)))
    right = np.zeros((len(candidates), len(photos)), bool)
    for column, photo in enumerate(photos):
        image = photo.image()
        crops: dict[Preprocessing, NDArray[np.uint8]] = {}
        for row, (_, rules) in enumerate(candidates):
            geometry = replace(rules, colour="rgb", scale=1.0, mean=(0.0,), std=(1.0,))
            if geometry not in crops:
                crops[geometry] = pixels(image, geometry)
            tensor = network_input(crops[geometry][np.newaxis], rules, layout=layout)
            (found,) = network.run(tensor, output)
            each = probabilities(found, kind=scores)[0]
            chances[row, column], right[row, column] = each[photo.label], int(each.argmax()) == photo.label
        progress(column + 1, len(photos))
    return [Tried(name, rules, losses(chances[row]), right[row]) for row, (name, rules) in enumerate(candidates)]


def losses(chances: NDArray[np.float64]) -> Losses:
    """-log of the probabilities that the true labels got."""
    result: Losses = -np.log(np.clip(chances, _LEAST, 1.0))
    return result


def rank(tried: Sequence[Tried]) -> list[Ranked]:
    """The preprocessings, best first."""
    best = min(tried, key=lambda each: float(each.losses.mean()))
    ranked = [
        Ranked(
            name=each.name,
            rules=each.rules,
            loss=float(each.losses.mean()),
            behind=float((each.losses - best.losses).mean()),
            error=standard_error(each.losses - best.losses),
            top_1=float(each.right.mean()),
        )
        for each in tried
    ]
    return sorted(ranked, key=lambda each: each.loss)


def standard_error(differences: Losses) -> float:
    """Of the mean of paired `differences`."""
    return float(differences.std(ddof=1) / np.sqrt(len(differences)))
