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
from topfive_pipeline.preprocessing.reference import Layout, network_input, pixels
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.scores import probabilities

FEWEST: Final = 50
"""Fewer labelled photos tell little apart."""
MOST: Final = 300
"""More would take minutes, and tell little more apart."""
_AT_A_TIME: Final = 60
"""Photos after which the hopeless preprocessings are given up, again and again."""
_HOPELESS: Final = 4.0
"""Standard errors behind the best: by chance one time in 30000."""
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
    photos: int
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

    def with_one(self, chances: NDArray[np.float64], *, label: int | None) -> Tried:
        """These and one more photo, whose classes got `chances`, and whose true class is `label`."""
        assert label is not None
        return replace(
            self,
            losses=np.append(self.losses, losses(chances[[label]])),
            right=np.append(self.right, int(chances.argmax()) == label),
        )


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
    layout: Layout,
    scores: str,
    progress: Callable[[int, int], None],
) -> list[Tried]:
    """Send `photos` through each of `candidates` and then through `network`; `progress` gets photos done and all.

    Now and then the hopeless ones are given up, so theirs are the first of the others' losses.
    """
    tried = [Tried(name, rules, np.zeros(0), np.zeros(0, bool)) for name, rules in candidates]
    alive = list(range(len(candidates)))
    for done, photo in enumerate(photos):
        if done and done % _AT_A_TIME == 0:
            hopeful = _hopeful(tried)
            alive = [place for place in alive if place in hopeful]
        image = photo.image()
        crops: dict[Preprocessing, NDArray[np.uint8]] = {}
        for place in alive:
            rules = candidates[place][1]
            geometry = replace(rules, colour="rgb", scale=1.0, mean=(0.0,), std=(1.0,))
            if geometry not in crops:
                crops[geometry] = pixels(image, geometry)
            tensor = network_input(crops[geometry][np.newaxis], rules, layout=layout)
            (found,) = network.run(tensor, output)
            tried[place] = tried[place].with_one(probabilities(found, kind=scores)[0], label=photo.label)
        progress(done + 1, len(photos))
    return tried


def _hopeful(tried: Sequence[Tried]) -> set[int]:
    return {place for place, each in enumerate(rank_in_place(tried)) if each.behind <= _HOPELESS * each.error}


def losses(chances: NDArray[np.float64]) -> Losses:
    """-log of the probabilities that the true labels got."""
    result: Losses = -np.log(np.clip(chances, _LEAST, 1.0))
    return result


def rank(tried: Sequence[Tried]) -> list[Ranked]:
    """The preprocessings, best first."""
    return sorted(rank_in_place(tried), key=lambda each: each.behind)


def rank_in_place(tried: Sequence[Tried]) -> list[Ranked]:
    """The same, in the order of `tried`. Those that were given up early are compared on the photos that they got."""
    most = max(len(each.losses) for each in tried)
    best = min((each for each in tried if len(each.losses) == most), key=lambda each: float(each.losses.mean()))
    ranked = []
    for each in tried:
        differences = each.losses - best.losses[: len(each.losses)]
        ranked.append(
            Ranked(
                name=each.name,
                rules=each.rules,
                photos=len(each.losses),
                loss=float(each.losses.mean()),
                behind=float(differences.mean()),
                error=standard_error(differences),
                top_1=float(each.right.mean()),
            )
        )
    return ranked


def standard_error(differences: Losses) -> float:
    """Of the mean of paired `differences`."""
    return float(differences.std(ddof=1) / np.sqrt(len(differences)))
