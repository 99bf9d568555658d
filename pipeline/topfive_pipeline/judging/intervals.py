"""What a number of photos can tell: intervals of 95 %, and how many photos would decide a question.

What lives here: formulas on counts. What does not: where the counts come from (`judging.accuracy`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LEVEL: Final = 0.95
"""The probability that an interval holds the truth."""
_NORMAL: Final = 1.959963984540054
"""The 97.5 % quantile of the normal distribution."""
_MOST: Final = 10**9
"""Photos; a question that needs more is undecided for good."""
_HALVINGS: Final = 200
"""Bisection ends when two neighbouring numbers are reached; FP64 has no more than some 1080 between 0 and 1."""
_TERMS: Final = 10_000
"""The continued fraction needs about the square root of the larger parameter: enough for 10 million photos."""
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high`."""

    low: float
    high: float

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def share_interval(right: int, of: int) -> Interval:
    """Where the share of right answers lies that all photos like these would get, if `right` of `of` photos were.

    The posterior of the error rate under a uniform prior is Beta(errors + 1, right + 1); the interval leaves 2.5 % of
    it at each side (Gelman et al., Bayesian Data Analysis, 3rd edition, section 2.1).
    """
    tail = (1 - LEVEL) / 2
    errors = of - right
    return Interval(
        1 - beta_quantile(1 - tail, errors + 1.0, right + 1.0), 1 - beta_quantile(tail, errors + 1.0, right + 1.0)
    )


def difference_interval(lost: float, won: float, of: float) -> Interval:
    """Where the difference of two models' shares of right answers lies, of paired answers to `of` photos.

    `lost`: photos that only the first got right; `won`: those that only the second did. The difference is the second's
    share less the first's. Where both agree tells nothing of it, so the interval is much narrower than one of two
    separate shares.

    It is Wald's interval with one photo added to each of the two counts: Bonett and Price, Adjusted Wald confidence
    interval for a difference of binomial proportions based on paired data, J. Educ. Behav. Stat. 37 (2012) 479-488;
    of the closed forms that Fagerland, Lydersen and Laake compare (Statistics in Medicine 33 (2014) 2850-2875) one of
    those whose coverage holds for few photos too.
    """
    down, up = (lost + 1) / (of + 2), (won + 1) / (of + 2)
    half = _NORMAL * math.sqrt((down + up - (up - down) ** 2) / (of + 2))
    return Interval(max(-1.0, up - down - half), min(1.0, up - down + half))


def photos_to_decide(lost: int, won: int, of: int, *, whether: float) -> int | None:
    """How many photos like these would decide `whether` the difference is above or below that value.

    It is the size at which the interval of `difference_interval` would no longer hold the value, if the counts grew in
    proportion; at most `of`: these are enough. None if no number would be, because the difference is that value.
    """

    def undecided(size: int) -> bool:
        return difference_interval(lost * size / of, won * size / of, size).holds(whether)

    if not undecided(of):
        return of
    low, high = of, 2 * of
    while undecided(high):
        low, high = high, 2 * high
        if high > _MOST:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if undecided(middle) else (low, middle)
    return high


def beta_quantile(probability: float, a: float, b: float) -> float:
    """The x for which the distribution function of Beta(`a`, `b`) is `probability`, by bisection."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if beta_cdf(middle, a, b) < probability else (low, middle)
    return (low + high) / 2


def beta_cdf(x: float, a: float, b: float) -> float:
    """The distribution function of Beta(`a`, `b`), which is the regularised incomplete beta function I_x(a, b).

    By its continued fraction, NIST Digital Library of Mathematical Functions 8.17.22, evaluated by Lentz's method; it
    converges fast below the mean, and above it I_x(a, b) = 1 - I_(1-x)(b, a) is used (8.17.4).
    """
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(1 - x, b, a)
    logarithm = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logarithm) / (a * _continued_fraction(x, a, b))


def _continued_fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)) with the d of DLMF 8.17.23."""
    value = up = 1.0
    down = 0.0
    for term in range(1, _TERMS):
        m, odd = divmod(term, 2)
        if odd:
            d = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            d = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        down = 1 / (1 + d * down or _TINY)
        up = 1 + d / up or _TINY
        value *= up * down
        if abs(up * down - 1) < math.ulp(1.0) * 2:
            break
    return value
