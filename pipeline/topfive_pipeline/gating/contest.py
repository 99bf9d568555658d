"""Who wins of two on the same photos, and whether that lets the candidate through.

What lives here: what follows from wins and losses. What does not: the test (`gating.sign_test`), and who has won a
photo (`gating.side_by_side` by its label, `gating.tally` by eye).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from topfive_pipeline.gating.sign_test import SignTest, effective_size, power, sign_test, to_find, weighted_sign_test
from topfive_pipeline.judging.intervals import LEVEL, Interval, difference_interval, photos_to_decide

LOSING: Final = 1 / 3
"""A rate of wins that must be found out: two photos lost for each that is won."""
TOLERATED: Final = 0.01
"""The share of all photos that may be lost on balance, if the interval says that it is no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Wins and losses of the candidate on photos where the two differ.

    `test`: of those that were decided; `tied`: those that were not. `balance`: won less lost, as a share of all photos
    asked, the same ones included, with its interval of 95 %. `differing`: the share of photos on which they differ, by
    which alone the candidate can lose; `photos`: how many were asked, an effective number if they have weights;
    `would_prove`: how many photos like these would exclude a loss of `TOLERATED`, None if no number would.
    """

    test: SignTest
    tied: int
    balance: float
    interval: Interval
    differing: float
    photos: float
    would_prove: int | None

    @property
    def is_proven(self) -> bool:
        """Whether it wins by the test, or one of the intervals excludes a loss that matters."""
        test = self.test
        bounded = test.interval is not None and test.interval.low >= LOSING
        return test.better <= 1 - LEVEL or bounded or self.interval.low >= -TOLERATED

    @property
    def met(self) -> bool | None:
        """Whether the candidate does not lose; None if there are too few photos to tell.

        It loses if a coin would win as seldom in at most 5 %. It does not if it wins in that sense; or if the interval
        of its rate of wins excludes `LOSING`, or that of the balance a loss of `TOLERATED`. Nor does it if the two
        differ on no more photos than `TOLERATED`, though `is_proven` may be false then.
        """
        if self.test.worse <= 1 - LEVEL:
            return False
        hardly_differ = self.photos > 0 and self.differing <= TOLERATED
        return True if self.is_proven or hardly_differ else None

    @property
    def found_out(self) -> float:
        """The probability that as many decided photos show a candidate that loses two for each that it wins."""
        return power(math.floor(self.test.decided), LOSING)

    @property
    def lacking(self) -> int:
        """How many more decided photos would find out such a candidate with 80 %."""
        needed = to_find(LOSING)
        assert needed is not None
        return max(0, needed - math.floor(self.test.decided))

    def as_figures(self) -> dict[str, object]:
        """All of it for JSON."""
        test = self.test
        return {
            "won": test.won,
            "lost": test.lost,
            "tied": self.tied,
            "win_rate": test.rate,
            "win_rate_interval": None if test.interval is None else [test.interval.low, test.interval.high],
            "p_two_sided": test.two_sided,
            "p_better": test.better,
            "p_worse": test.worse,
            "balance": self.balance,
            "balance_interval": [self.interval.low, self.interval.high],
            "power_against_a_third": self.found_out,
            "differing": self.differing,
            "met": self.met,
            "is_proven": self.is_proven,
        }


@dataclass(frozen=True, slots=True)
class Population:
    """All photos that were asked: how many (an effective number, if they have weights), and which `share` differs."""

    photos: float
    share: float


def contest(signs: Sequence[int], of: Population, *, weights: Sequence[float] | None = None) -> Contest:
    """Of photos where the two differ: 1 the candidate won, -1 it lost, 0 neither; `weights` of the same photos.

    They may be some of the differing photos, chosen by chance: the balance is then scaled to all of them. `of.photos`
    says how many photos stand behind `signs`, the same share of those where the two agree included.
    """
    given = [1.0] * len(signs) if weights is None else weights
    total = math.fsum(given)
    won, lost = (
        of.photos
        * of.share
        * math.fsum(weight for each, weight in zip(signs, given, strict=True) if each == sign)
        / total
        if total
        else 0.0
        for sign in (1, -1)
    )
    if weights is None:
        test = sign_test(sum(each > 0 for each in signs), sum(each < 0 for each in signs))
    else:
        test = weighted_sign_test(signs, weights)
    return Contest(
        test=test,
        tied=sum(each == 0 for each in signs),
        balance=(won - lost) / of.photos if of.photos else 0.0,
        interval=difference_interval(lost, won, of.photos),
        differing=of.share,
        photos=of.photos,
        would_prove=photos_to_decide(round(lost), round(won), max(1, round(of.photos)), whether=-TOLERATED),
    )


def population(differs: Sequence[bool], weights: Sequence[float] | None = None) -> Population:
    """All photos, by whether the two differ there."""
    given = [1.0] * len(differs) if weights is None else weights
    total = math.fsum(given)
    share = math.fsum(weight for each, weight in zip(differs, given, strict=True) if each) / total if total else 0.0
    return Population(effective_size(given), share)


def sampled(of: Population, share: float) -> Population:
    """The population behind a `share` of its differing photos, chosen by chance."""
    return Population(of.photos * share, of.share)
