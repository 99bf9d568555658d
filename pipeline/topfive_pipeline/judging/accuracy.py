"""How right a model is, and how much less than another: every figure with how far it can be trusted.

What lives here: figures from answers. What does not: the answers (`judging.answering`), the formulas of intervals
(`judging.intervals`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from topfive_pipeline.judging.answering import TOP, Answers
from topfive_pipeline.judging.intervals import Interval, difference_interval, photos_to_decide, share_interval
from topfive_pipeline.proof.ranking import standard_error

POINTS: Final = 100.0
"""Percentage points in a share of one."""


@dataclass(frozen=True, slots=True)
class Share:
    """The `share` of right answers, from 0 to 1, with its interval of 95 %."""

    right: int
    share: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How right one model is. `top_5`: None if it has no more classes; `loss`: mean of -log p(true class), in nats."""

    top_1: Share
    top_5: Share | None
    loss: float


@dataclass(frozen=True, slots=True)
class Difference:
    """How a model differs from the first one on the same photos.

    `top_1`: its share of right answers less the first's, with the interval of 95 %: below 0 it is worse. `lost` and
    `won`: photos that only the first, and that only this one got right. `relative`: `top_1` by the first's share.
    `decides_sign`, `decides_budget`: how many photos like these would tell whether it is worse at all, and whether it
    loses more than is allowed; None if no number would, or nothing is said of what is allowed. `agreement`: the share
    of photos with the same first label. `mean_change`, `largest_change`: of each photo the largest difference of a
    probability. `loss`: its mean loss less the first's, with the standard error `loss_error`, in nats.
    """

    top_1: float
    interval: Interval
    lost: int
    won: int
    relative: float
    decides_sign: int | None
    decides_budget: int | None
    agreement: float
    mean_change: float
    largest_change: float
    loss: float
    loss_error: float


def accuracy_of(answers: Answers) -> Accuracy:
    """The figures of one model."""
    top_5 = _share(answers, TOP) if answers.classes > TOP else None
    return Accuracy(_share(answers, 1), top_5, float(answers.losses.mean()))


def difference_of(answers: Answers, reference: Answers, *, budget: float | None) -> Difference:
    """The figures of a model beside the `reference`; `budget`: how many points it may lose, if that is limited."""
    right, before = answers.rank == 0, reference.rank == 0
    lost, won, photos = int((before & ~right).sum()), int((right & ~before).sum()), len(right)
    differences = answers.losses - reference.losses
    return Difference(
        top_1=(won - lost) / photos,
        interval=difference_interval(lost, won, photos),
        lost=lost,
        won=won,
        relative=(won - lost) / max(1, int(before.sum())),
        decides_sign=photos_to_decide(lost, won, photos, whether=0.0),
        decides_budget=None if budget is None else photos_to_decide(lost, won, photos, whether=-budget / POINTS),
        agreement=float((answers.first == reference.first).mean()),
        mean_change=float(answers.changes.mean()),
        largest_change=float(answers.changes.max()),
        loss=float(differences.mean()),
        loss_error=standard_error(differences),
    )


def _share(answers: Answers, top: int) -> Share:
    right, photos = int(np.count_nonzero(answers.rank < top)), len(answers.rank)
    return Share(right, right / photos, share_interval(right, photos))
