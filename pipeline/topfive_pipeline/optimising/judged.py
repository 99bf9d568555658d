"""What photos that had no part in making a graph say of it: what is lost, how sure that is, and whether it may land."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from topfive_pipeline.judging.intervals import Interval, difference_interval, photos_to_decide, share_interval
from topfive_pipeline.optimising.bench import Pictures, Scores
from topfive_pipeline.optimising.measuring import Distance, best_classes, distance

LEAST_AGREEMENT: Final = 0.9
"""Of photos without labels: fewer same first labels than this are a loss that nobody would accept unseen."""
_POINTS: Final = 100

Outcome = Literal["within", "undecided", "beyond", "unlabelled", "strange"]
"""`within`: the loss found is within the budget. `undecided`: it is not, but the budget is in its interval. `beyond`:
all of the interval is above the budget. Without labels, `unlabelled`, or `strange` if first labels differ too often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`loss` and its interval of 95 % are shares of photos, above zero if it is worse; None without labels.

    `before` and `after`: the shares of right first labels, `share`: the interval of 95 % of the second. `decides`: how
    many photos like these would tell whether the loss is within the budget; None if no number would.
    """

    photos: int
    distance: Distance
    before: float | None = None
    after: float | None = None
    share: Interval | None = None
    lost: int = 0
    won: int = 0
    loss: float | None = None
    interval: Interval | None = None
    decides: int | None = None

    @property
    def relative(self) -> float | None:
        """The loss as a share of what was right before: below zero if it is better."""
        return None if self.loss is None or not self.before else self.loss / self.before


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
        share=share_interval(int(right.sum()), count),
        lost=lost,
        won=won,
        loss=(lost - won) / count,
        interval=Interval(-change.high, -change.low),
        decides=photos_to_decide(lost, won, count, whether=-budget),
    )


def outcome(judged: Judged, *, budget: float) -> Outcome:
    """What `judged` means for a `budget`, a share of photos."""
    if judged.loss is None or judged.interval is None:
        return "unlabelled" if judged.distance.agreement >= LEAST_AGREEMENT else "strange"
    if judged.loss <= budget:
        return "within"
    return "beyond" if judged.interval.low > budget else "undecided"


def why_refused(judged: Judged, *, budget: float, accepts_undecided: bool = False) -> str | None:
    """Why the graph must not land, and what would help; None if it may. `budget` as a share."""
    found = outcome(judged, budget=budget)
    if found in ("within", "unlabelled") or (found == "undecided" and accepts_undecided):
        return None
    if found == "strange":
        return (
            f"the first label is another one on {1 - judged.distance.agreement:.1%} of {judged.photos} photos that had "
            "no part in choosing, and without labels nobody can say that this is no loss; give labelled photos "
            "(labels.csv), more photos to calibrate on, or another --calibration"
        )
    assert judged.loss is not None
    assert judged.interval is not None
    low, high = judged.interval.low * _POINTS, judged.interval.high * _POINTS
    said = (
        f"it loses {judged.loss * _POINTS:.1f} points on {judged.photos} photos that had no part in making it, and "
        f"{budget * _POINTS:g} are allowed; at 95 % it is from {low:+.1f} to {high:+.1f}"
    )
    if found == "beyond":
        return f"{said}, which is more in any case; give more photos to calibrate on, or a larger --budget"
    more = "no number of photos like these" if judged.decides is None else f"some {judged.decides} like these"
    return (
        f"{said}, so these photos do not decide it ({more} would); give more labelled photos, a larger --budget, or "
        "--accept-undecided to have it as it is"
    )
