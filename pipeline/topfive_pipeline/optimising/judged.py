"""Judges the chosen graph on photos that had no part in choosing it: what is lost, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

from topfive_pipeline.judging.intervals import Interval, difference_interval, photos_to_decide
from topfive_pipeline.optimising.bench import Pictures, Scores
from topfive_pipeline.optimising.measuring import Distance, best_classes, distance

LEAST_AGREEMENT = 0.9
"""Of photos without labels: fewer same first labels than this are a loss that nobody would accept unseen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`loss` and its interval of 95 % are shares of photos, above zero if it is worse; None without labels.

    `before` and `after`: the shares of right first labels. `decides`: how many photos like these would tell whether the
    loss is within the budget.
    """

    photos: int
    distance: Distance
    before: float | None = None
    after: float | None = None
    lost: int = 0
    won: int = 0
    loss: float | None = None
    interval: Interval | None = None
    decides: int | None = None


def judge(pictures: Pictures, scores: Scores, reference: Scores, *, budget: float) -> Judged:
    """Compare `scores` with `reference` on `pictures`; `budget`: the share of photos that may be lost."""
    far = distance(scores, reference)
    if pictures.labels is None:
        return Judged(photos=len(pictures.photos), distance=far)
    right, was = best_classes(scores) == pictures.labels, best_classes(reference) == pictures.labels
    lost, won, count = int((was & ~right).sum()), int((right & ~was).sum()), len(right)
    change = difference_interval(lost, won, count)
    return Judged(
        photos=count,
        distance=far,
        before=float(was.mean()),
        after=float(right.mean()),
        lost=lost,
        won=won,
        loss=(lost - won) / count,
        interval=Interval(-change.high, -change.low),
        decides=photos_to_decide(lost, won, count, whether=-budget),
    )


def why_refused(judged: Judged, *, budget: float) -> str | None:
    """Why the graph must not be served, and what would help; None if it may. `budget` as a share."""
    if judged.loss is None:
        if judged.distance.agreement >= LEAST_AGREEMENT:
            return None
        return (
            f"the first label is another one on {1 - judged.distance.agreement:.1%} of {judged.photos} photos that had "
            "no part in choosing, and without labels nobody can say that this is no loss; give labelled photos "
            "(labels.csv), more photos to calibrate on, or another --calibration"
        )
    if judged.loss <= budget:
        return None
    return (
        f"it loses {judged.loss * 100:.1f} points on {judged.photos} photos that had no part in choosing it, and "
        f"{budget * 100:g} are allowed; give more photos to calibrate on, a larger --budget, or --time for more layers"
    )
