"""Judges a recipe on the photos of both halves: a second graph of it is calibrated on the half that judges the first.

So each photo is judged by a graph in whose making it had no part (cross-fitting: Chernozhukov et al., "Double/debiased
machine learning", Econometrics Journal 21, 2018). The photos that recipes were compared on chose the recipe, and judge
neither graph. What lands is the first graph; the second is made only to know what such graphs lose.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from topfive_pipeline.optimising.bench import Pictures, Progress, Scores
from topfive_pipeline.optimising.calibrated import calibrate
from topfive_pipeline.optimising.judged import Judged, judge
from topfive_pipeline.optimising.quantising import Recipe, quantised
from topfive_pipeline.optimising.source import Source

_EVERY: Final = 2
"""Of the judging half, each second photo calibrates the second graph, as in the other half."""


@dataclass(frozen=True, slots=True)
class Half:
    """Pictures with the `scores` [n, k] of a graph that they had no part in, and the `reference` of the source."""

    pictures: Pictures
    scores: Scores
    reference: Scores


def second_graph(source: Source, recipe: Recipe, judging: Pictures, *, most: int, progress: Progress) -> Any:
    """The ModelProto of `source` by `recipe`, calibrated on at most `most` of the pictures that judge the first."""
    again = calibrate(
        source,
        judging.crops[::_EVERY][:most],
        methods=(recipe.method,),
        kinds=(recipe.kind,),
        progress=lambda said: progress(f"the same from the other half: {said}"),
    )
    return quantised(source, again, recipe)


def judge_both(first: Half, second: Half, *, budget: float) -> Judged:
    """What is lost on the pictures of two halves; `budget` as a share."""
    labels = [half.pictures.labels for half in (first, second) if half.pictures.labels is not None]
    pictures = Pictures(
        [*first.pictures.photos, *second.pictures.photos],
        [*first.pictures.crops, *second.pictures.crops],
        np.concatenate(labels) if len(labels) == 2 else None,
    )
    scores, before = (
        np.concatenate([getattr(half, name) for half in (first, second)]) for name in ("scores", "reference")
    )
    return judge(pictures, scores, before, budget=budget)
