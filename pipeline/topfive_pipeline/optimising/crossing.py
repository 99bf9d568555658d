"""Judges a recipe on the photos of both halves: a second graph of it is calibrated on the half that judges the first.

So each photo is judged by a graph in whose making it had no part (cross-fitting: Chernozhukov et al., "Double/debiased
machine learning", Econometrics Journal 21, 2018). The photos that recipes were compared on chose the recipe, and judge
neither graph. What lands is the first graph; the second is made only to know what such graphs lose.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from topfive_pipeline.optimising.bench import Pictures, Progress, Scores
from topfive_pipeline.optimising.calibrated import calibrate
from topfive_pipeline.optimising.judged import Judged, judge
from topfive_pipeline.optimising.measuring import scores_of
from topfive_pipeline.optimising.quantising import Recipe, quantised
from topfive_pipeline.optimising.source import Source

_EVERY: Final = 2
"""Of the judging half, each second photo calibrates the second graph, as in the other half."""


def crossed(
    source: Source,
    recipe: Recipe,
    halves: tuple[Pictures, Pictures],
    scores: tuple[Scores, Scores],
    *,
    budget: float,
    progress: Progress,
) -> Judged:
    """What the `recipe` loses on the photos of both halves.

    `halves`: the pictures that calibrated the graph that lands, and those that judge it. `scores` of the second half,
    [n, k]: those of the graph that lands, and the source's. `budget` as a share.
    """
    calibrated_it, judging = halves
    others = judging.crops[::_EVERY][: len(calibrated_it.crops)]
    again = calibrate(
        source,
        others,
        methods=(recipe.method,),
        kinds=(recipe.kind,),
        progress=lambda said: progress(f"the same from the other half: {said}"),
    )
    progress("judging the same recipe from the other half")
    model = quantised(source, again, recipe)
    own, before = (scores_of(each, source.scores, calibrated_it.crops) for each in (model, source.model))
    return judge(
        _joined([judging, calibrated_it]),
        np.concatenate([scores[0], own]),
        np.concatenate([scores[1], before]),
        budget=budget,
    )


def _joined(parts: Sequence[Pictures]) -> Pictures:
    labels = [part.labels for part in parts if part.labels is not None]
    return Pictures(
        [photo for part in parts for photo in part.photos],
        [crop for part in parts for crop in part.crops],
        np.concatenate(labels) if len(labels) == len(parts) else None,
    )
