"""Speed against loss: the most sensitive layers return to floating point, a few more at each point; and the knee.

What lives here: the points and the choice among them. What does not: plots and tables of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.judging.intervals import difference_interval
from topfive_pipeline.optimising.bench import Bench, Scores
from topfive_pipeline.optimising.measuring import best_classes, distance, scores_of, speeds
from topfive_pipeline.optimising.sensitivity import Sensitivity
from topfive_pipeline.optimising.trials import Trial

_FLOATS: Final = (1, 2, 3, 5, 8, 13, 21, 34)
_USEFUL: Final = 0.05
"""dB: a layer whose return gains nothing stays quantised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One mixture of precisions: its trial, and the share of held-back photos that it loses, if they are labelled."""

    trial: Trial
    loss: float | None
    least: float | None = None
    """The low end of the loss's interval of 95 %."""

    @property
    def floats(self) -> int:
        return len(self.trial.recipe.floats)


def mixtures(sensitive: Sequence[Sensitivity], layers: int) -> list[frozenset[str]]:
    """The sets of layers to leave in floating point: none, then more and more of those that gain; at most half."""
    useful = [each.unit for each in sensitive if each.gain > _USEFUL]
    found = [frozenset[str]()]
    for count in _FLOATS:
        union = frozenset[str]().union(*useful[:count])
        if count <= len(useful) and len(union) <= layers // 2 and union != found[-1]:
            found.append(union)
    return found


def measure(bench: Bench, best: Trial, floats: Sequence[frozenset[str]]) -> list[Point]:
    """A point for each of `floats`: all beside the source in the same rounds."""
    source, held = bench.source, bench.held
    models, scores = [], []
    for done, names in enumerate(floats):
        bench.progress(f"the curve of speed against loss, {done + 1} of {len(floats)}")
        model = bench.quantised(replace(best.recipe, floats=names))
        models.append(model)
        scores.append(scores_of(model, source.scores, held.crops))
    bench.progress(f"measuring the speed of {len(models)} mixtures beside the original")
    _, *fast = speeds([source.model, *models], held.crops[0])
    return [
        Point(
            trial=Trial(
                recipe=replace(best.recipe, floats=names),
                speed=speed,
                distance=distance(each, bench.reference),
                megabytes=model.ByteSize() / 1e6,
            ),
            loss=None if held.labels is None else lost_share(each, bench.reference, held.labels)[0],
            least=None if held.labels is None else lost_share(each, bench.reference, held.labels)[1],
        )
        for names, model, each, speed in zip(floats, models, scores, fast, strict=True)
    ]


def lost_share(scores: Scores, reference: Scores, labels: NDArray[np.int64]) -> tuple[float, float]:
    """The share of photos that `reference` gets right, less that of `scores`; and the low end of its interval."""
    right, was = best_classes(scores) == labels, best_classes(reference) == labels
    lost, won, count = int((was & ~right).sum()), int((right & ~was).sum()), len(labels)
    return (lost - won) / count, -difference_interval(lost, won, count).high


def knee(points: Sequence[Point], *, budget: float, pays: float) -> Point:
    """The point that is farthest above the chord from the fastest to the most faithful, of those within `budget`.

    Both axes, ratio and dB, are scaled to their extent (Satopää et al., "Finding a Kneedle in a Haystack", 2011). Out
    is a point that clearly loses more than the `budget`, by the low end of its interval: one photo more or less of some
    hundred says nothing, and SQNR tells neighbours apart better. If photos are unlabelled, none is out; if all are, it
    is the one that loses least. Points that do not pay are no choice unless none does.
    """
    fast = [point for point in points if point.trial.pace >= pays] or list(points)
    allowed = [point for point in fast if point.least is None or point.least <= budget]
    if not allowed:
        return min(fast, key=lambda point: (point.loss or 0.0, point.floats))
    paces = _scaled([point.trial.pace for point in points])
    faithful = _scaled([point.trial.distance.sqnr for point in points])
    heights = dict(zip(map(id, points), paces + faithful, strict=True))
    return max(allowed, key=lambda point: (round(heights[id(point)], 6), -point.floats))


def _scaled(values: Sequence[float]) -> NDArray[np.float64]:
    array = np.array(values, np.float64)
    scaled: NDArray[np.float64] = (array - array.min()) / max(float(np.ptp(array)), 1e-9)
    return scaled
