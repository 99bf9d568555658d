"""The sign test: whether one of two wins more often than a coin would, of photos that count alike or by weights.

What lives here: formulas on wins and losses. What does not: what a win is, and what follows from a test
(`gating.contest`).

A tie (both right, both wrong, equally good) is neither a win nor a loss, and the test leaves it out, as its first
description does: Dixon and Mood, The statistical sign test, J. Am. Stat. Assoc. 41 (1946) 557-566. Of labelled photos
it is the exact form of McNemar's test (Psychometrika 12 (1947) 153-157).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.judging.intervals import LEVEL, Interval, beta_cdf, beta_quantile

_RESOLUTION: Final = 20_000
"""Weights are rounded to this part of their sum: few enough for a table of all sums, and finer than what is shown."""
_MOST_UNITS: Final = 100_000
"""Up to so many units in their sum, weights that are whole multiples of one are not rounded."""
_MOST_PARTS: Final = 1_000
"""Such a unit is at least this part of the smallest weight."""
_ONE_SIDED: Final = 1.6448536269514722
"""The 95 % quantile of the normal distribution."""
_TWO_SIDED: Final = 1.959963984540054
"""The 97.5 % quantile."""
_FOUND: Final = 0.8416212335729143
"""The 80 % quantile: four of five tests shall find what they look for."""


@dataclass(frozen=True, slots=True)
class SignTest:
    """What `won` and `lost` photos tell, which are effective numbers if photos have weights.

    `rate`: the share of wins among both, from 0 to 1, with its `interval` of 95 %; None if there is neither. `better`,
    `worse`: the probability that a coin wins at least as often, or as seldom. `two_sided`: that it is at least as far
    from half, either way.
    """

    won: float
    lost: float
    rate: float | None
    interval: Interval | None
    better: float
    worse: float

    @property
    def decided(self) -> float:
        return self.won + self.lost

    @property
    def two_sided(self) -> float:
        return min(1.0, 2 * min(self.better, self.worse))


def sign_test(won: int, lost: int) -> SignTest:
    """The exact test of photos that count alike (Conover, Practical Nonparametric Statistics, 3rd ed., section 3.4)."""
    of = won + lost
    return SignTest(
        won, lost, won / of if of else None, rate_interval(won, lost), at_most(lost, of, 0.5), at_most(won, of, 0.5)
    )


def weighted_sign_test(signs: Sequence[int], weights: Sequence[float]) -> SignTest:
    """The exact test of photos with `weights`, not negative; `signs`: 1 won, -1 lost, 0 a tie.

    If neither is better, each sign is a coin's, whatever the weight. So the sum of the weights that were won has a
    known distribution, which is computed here over all 2^n outcomes at once: Fisher's randomisation test of signs (The
    Design of Experiments, 1935, section 21). Weights that are counts, or in their ratios, are taken as they are, up to
    100,000 in all; others are rounded to a 20,000th of their sum. With equal weights it is `sign_test`.

    `won` and `lost` share out Kish's effective number of photos among both, and so does the interval (Korn and
    Graubard, Survey Methodology 24 (1998) 193-201, who do the same for Clopper and Pearson's).
    """
    decided = [(sign, weight) for sign, weight in zip(signs, weights, strict=True) if sign and weight > 0]
    total = math.fsum(weight for _, weight in decided)
    if not decided:
        return sign_test(0, 0)
    unit = _unit([weight for _, weight in decided])
    parts = [(sign, round(weight / unit)) for sign, weight in decided]
    chances = _sums([part for _, part in parts])
    reached = sum(part for sign, part in parts if sign > 0)
    of = effective_size([weight for _, weight in decided])
    rate = math.fsum(weight for sign, weight in decided if sign > 0) / total
    won, lost = of * rate, of * (1 - rate)
    return SignTest(
        won,
        lost,
        rate,
        rate_interval(won, lost),
        better=min(1.0, float(chances[reached:].sum())),
        worse=min(1.0, float(chances[: reached + 1].sum())),
    )


def effective_size(weights: Sequence[float]) -> float:
    """How many photos that count alike tell as much: (sum of w)^2 / sum of w^2; 0 if nothing has weight.

    Kish, Survey Sampling (1965), section 11.7.
    """
    squares = math.fsum(weight * weight for weight in weights)
    return math.fsum(weights) ** 2 / squares if squares else 0.0


def rate_interval(won: float, lost: float) -> Interval | None:
    """Where the rate of wins lies, with 95 %, under a uniform prior: its posterior is Beta(won + 1, lost + 1).

    As `judging.intervals.share_interval`, but the numbers need not be whole. None if there are neither.
    """
    if won + lost <= 0:
        return None
    tail = (1 - LEVEL) / 2
    return Interval(beta_quantile(tail, won + 1, lost + 1), beta_quantile(1 - tail, won + 1, lost + 1))


def at_most(most: int, of: int, rate: float) -> float:
    """The probability of at most `most` wins of `of`, if each is won with the probability `rate`.

    The binomial distribution function as an incomplete beta function: NIST Digital Library of Mathematical Functions
    8.17.5.
    """
    if most < 0:
        return 0.0
    return 1.0 if most >= of else beta_cdf(1 - rate, of - most, most + 1)


def power(decided: int, rate: float) -> float:
    """The probability that `decided` photos show a loss (`worse` at most 5 %) at a true `rate` of wins."""
    low, high = -1, decided
    while high - low > 1:  # the most wins that still are a loss; all of `decided` never are
        middle = (low + high) // 2
        low, high = (middle, high) if at_most(middle, decided, 0.5) <= 1 - LEVEL else (low, middle)
    return at_most(low, decided, rate)


def to_find(rate: float, *, either_way: bool = False) -> int | None:
    """How many decided photos show a true `rate` of wins with a probability of 80 %; None for a half: none would.

    By the test at 5 %, of losses alone or `either_way`. Noether, Sample size determination for some common
    nonparametric tests, J. Am. Stat. Assoc. 82 (1987) 645-647: (z + z')^2 / (4 (rate - 1/2)^2), a normal approximation.
    """
    if rate == 0.5:
        return None
    deviations = (_TWO_SIDED if either_way else _ONE_SIDED) + _FOUND
    return math.ceil(deviations**2 / (4 * (rate - 0.5) ** 2))


def _unit(weights: Sequence[float]) -> float:
    """What weights are counted in: the largest that all are multiples of, so that equal sums stay equal; or a part."""
    total, smallest = math.fsum(weights), min(weights)
    ratios = {weight / smallest for weight in weights}
    parts = [Fraction(ratio).limit_denominator(_MOST_PARTS) for ratio in ratios]
    common = math.lcm(*(part.denominator for part in parts))
    are_exact = all(math.isclose(float(part), ratio, rel_tol=1e-9) for part, ratio in zip(parts, ratios, strict=True))
    if are_exact and common <= _MOST_UNITS * smallest / total:
        return smallest / common
    return total / _RESOLUTION


def _sums(parts: Sequence[int]) -> NDArray[np.float64]:
    """The probability of each sum from 0 to that of `parts`, if each part is in it or not as a coin falls."""
    chances = np.zeros(sum(parts) + 1)
    chances[0] = 1.0
    for part in parts:
        chances[part:] = (chances[part:] + chances[: len(chances) - part]) / 2 if part else chances
        chances[:part] /= 2
    return chances
