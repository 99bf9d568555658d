"""Two contestants' answers to the same photos, counted: shares of right answers, their difference, and agreement.

What lives here: counts with their intervals, each photo once or by how often it is sent. What does not: what must hold
of them (`gating.quality`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from topfive_pipeline.gating.answers import Answer, PhotoAnswers
from topfive_pipeline.judging.accuracy import POINTS, Share
from topfive_pipeline.judging.intervals import Interval, difference_interval, photos_to_decide, share_interval
from topfive_pipeline.judging.tables import NOTHING, percent

_TOP: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """How often the class is among the first `top` labels, of `of` photos; `difference` is the candidate's less live's.

    `lost`, `won`: photos that only the live version, and that only the candidate got right. With weights, shares and
    difference are of what is sent, and `of`, `lost` and `won` are as if so many photos were sent once each: Kish's
    effective number, the square of the weights' sum by the sum of their squares (Survey Sampling, 1965, section 11.7).
    """

    top: int
    candidate: Share
    live: Share
    difference: float
    interval: Interval
    lost: float
    won: float
    of: float
    weighted: bool = False

    def photos_to_decide(self, whether: float) -> int | None:
        """How many photos like these would decide whether the difference is above; see `judging.intervals`."""
        return photos_to_decide(round(self.lost), round(self.won), round(self.of), whether=whether)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How alike answers to `of` photos are.

    `share`: of photos with the same first label. `mean_change`, `largest_change`: of the probability of the live
    version's first label, from 0 to 1; at least so much, where the candidate does not answer it. `overlap`: the mean
    share of the first five labels that both answer. `by_frequency`: `share` of what is sent, if that is known.
    """

    same: int
    of: int
    share: float
    interval: Interval
    mean_change: float
    largest_change: float
    overlap: float
    by_frequency: float | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """For a table."""
        yield "same first label, %", percent(self.share), _percents(self.interval)
        if self.by_frequency is not None:
            yield "the same by frequency, %", percent(self.by_frequency), NOTHING
        yield "same labels among the first five, %", percent(self.overlap), NOTHING
        yield "mean change of the first label's probability, points", f"{self.mean_change * POINTS:.2f}", NOTHING
        yield "largest change of it, points", f"{self.largest_change * POINTS:.1f}", NOTHING


def _percents(interval: Interval) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"


def right_in(answer: Answer, label: int | None, top: int) -> bool:
    """Whether the class of index `label` is among the first `top` labels."""
    return any(each.index == label for each in answer.predictions[:top])


def paired(answers: PhotoAnswers, places: Sequence[int], top: int, weights: Sequence[float] | None = None) -> Paired:
    """The counts of the photos at `places`, whose classes are known; at least one, and of those one with a weight."""
    weight = [1.0] * len(places) if weights is None else [weights[place] for place in places]
    total = sum(weight)
    effective = total * total / sum(each * each for each in weight)
    ours = [right_in(answers.candidate[place], answers.photos[place].label, top) for place in places]
    theirs = [right_in(answers.live[place], answers.photos[place].label, top) for place in places]

    def share(which: Sequence[bool]) -> float:
        return sum(each for each, counts in zip(weight, which, strict=True) if counts) / total

    lost = share([was and not now for now, was in zip(ours, theirs, strict=True)]) * effective
    won = share([now and not was for now, was in zip(ours, theirs, strict=True)]) * effective
    return Paired(
        top=top,
        candidate=_share(ours, share(ours), effective),
        live=_share(theirs, share(theirs), effective),
        difference=(won - lost) / effective,
        interval=difference_interval(lost, won, effective),
        lost=lost,
        won=won,
        of=effective,
        weighted=weights is not None,
    )


def _share(right: Sequence[bool], share: float, effective: float) -> Share:
    photos = round(effective)
    return Share(sum(right), share, share_interval(min(photos, round(share * photos)), photos))


def agreed(answers: PhotoAnswers, places: Sequence[int], weights: Sequence[float] | None = None) -> Agreement:
    """How alike the answers to the photos at `places` are, which both answered; at least one."""
    same, changes, overlaps = [], [], []
    for place in places:
        ours, theirs = answers.candidate[place], answers.live[place]
        same.append((ours.first and ours.first.label) == (theirs.first and theirs.first.label))
        changes += _change(ours, theirs)
        overlaps.append(_overlap(ours, theirs))
    weight = [0.0 if weights is None else weights[place] for place in places]
    total = sum(weight)
    return Agreement(
        same=sum(same),
        of=len(places),
        share=sum(same) / len(places),
        interval=share_interval(sum(same), len(places)),
        mean_change=sum(changes) / len(changes) if changes else 0.0,
        largest_change=max(changes, default=0.0),
        overlap=sum(overlaps) / len(overlaps),
        by_frequency=sum(w for w, each in zip(weight, same, strict=True) if each) / total if total else None,
    )


def _change(ours: Answer, theirs: Answer) -> list[float]:
    first = theirs.first
    if first is None:
        return []
    mine = [each.probability for each in ours.predictions if each.label == first.label]
    # A label that is not answered is no more probable than the last that is.
    least = mine or [min((each.probability for each in ours.predictions), default=first.probability)]
    return [abs(least[0] - first.probability) if mine else max(0.0, first.probability - least[0])]


def _overlap(ours: Answer, theirs: Answer) -> float:
    mine, other = ({each.label for each in answer.predictions[:_TOP]} for answer in (ours, theirs))
    return len(mine & other) / max(len(mine), len(other), 1)
