"""Whether the candidate is slower than the live version by more than is tolerated, or whether noise decides. Pure.

Only two loads of one round are compared, which came right after each other. What counts as worse, and why: decision 33.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from topfive_pipeline.judging.intervals import beta_cdf, beta_quantile

CHANCE: Final = 0.05
"""How likely an error of either kind may be."""
_MOST_ROUNDS: Final = 200
_FEWEST: Final = 2

Samples = Sequence[tuple[int, float]]
"""The number of the query, and the seconds of its answer."""


@dataclass(frozen=True, slots=True)
class Ratios:
    """How many times as long the candidate takes as the live version, of each round; above 0, 1 is as long."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def mean(self) -> float:
        """The geometric mean: of ratios, one and its inverse cancel."""
        return statistics.geometric_mean(self.rounds)

    @property
    def quartiles(self) -> tuple[float, float]:
        """The lower and the upper one; of one round both are it."""
        if len(self.rounds) < _FEWEST:
            return self.rounds[0], self.rounds[0]
        low, _, high = statistics.quantiles(self.rounds, n=4, method="inclusive")
        return low, high

    def is_at_most(self, limit: float, *, of: int = 1) -> bool | None:
        """Whether the mean ratio is at most `limit`; None if the rounds are too few, or spread too much, to tell.

        Logarithms of ratios are taken for normally distributed (so the mean is the geometric one), and Student's t
        bounds their mean from one side. True is a test of non-inferiority. False is the test on the other side, with
        the chance of an error divided by the number `of` such questions that are asked together (Bonferroni), so that a
        gate with many of them does not fail by chance; all of them being True needs no such correction (Berger,
        Multiparameter hypothesis testing and acceptance sampling, Technometrics 24 (1982) 295-300).
        """
        if len(self.rounds) < _FEWEST:
            return None
        logs = [math.log(each) for each in self.rounds]
        distance = math.log(limit) - statistics.mean(logs)
        error = statistics.stdev(logs) / math.sqrt(len(logs))
        if distance >= 0 and distance >= student_quantile(1 - CHANCE, len(logs) - 1) * error:
            return True
        if distance < 0 and -distance > student_quantile(1 - CHANCE / of, len(logs) - 1) * error:
            return False
        return None

    def more_rounds(self, limit: float, *, of: int = 1) -> int | None:
        """How many more rounds would tell, if they spread as these do; None if it is too many, or cannot be said."""
        if len(self.rounds) < _FEWEST:
            return _FEWEST - len(self.rounds)
        logs = [math.log(each) for each in self.rounds]
        distance, spread = math.log(limit) - statistics.mean(logs), statistics.stdev(logs)
        level = 1 - CHANCE if distance >= 0 else 1 - CHANCE / of

        def tells(count: int) -> bool:
            return abs(distance) > student_quantile(level, count - 1) * spread / math.sqrt(count)

        if not tells(_MOST_ROUNDS):
            return None
        low, high = len(logs), max(len(logs) + 1, _MOST_ROUNDS)
        while high - low > 1:  # more rounds tell what fewer do
            middle = (low + high) // 2
            low, high = (low, middle) if tells(middle) else (middle, high)
        return high - len(logs)


def together(all_of_them: Sequence[Ratios]) -> Ratios:
    """The geometric mean of several in each round that all of them have: less noise, where all are slower alike."""
    return Ratios(
        tuple(statistics.geometric_mean(each) for each in zip(*(one.rounds for one in all_of_them), strict=False))
    )


def student_quantile(probability: float, freedom: int) -> float:
    """The quantile of Student's t distribution, for a probability above 0.5.

    By the incomplete beta function: P(|T| > t) = I_x(freedom/2, 1/2) with x = freedom / (freedom + t^2) (Abramowitz and
    Stegun, Handbook of Mathematical Functions, 26.7.1 and 26.5.27).
    """
    x = beta_quantile(2 * (1 - probability), freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - x) / x)


def common(one: Samples, other: Samples) -> tuple[Samples, Samples]:
    """Of both only the queries that both have: a load ends in the middle of its mix, and not everywhere at the same."""
    shared = {number for number, _ in one} & {number for number, _ in other}
    return [each for each in one if each[0] in shared], [each for each in other if each[0] in shared]


def mean(samples: Samples) -> float:
    """The mean latency, in which each query counts alike, however often it was answered."""
    return statistics.fmean(statistics.fmean(each) for each in _by_query(samples).values())


def weighted_percentile(samples: Samples, percent: float) -> float:
    """The percentile by nearest rank, in which each query counts alike, however often it was answered.

    It is the smallest latency that at least `percent` % of the weight is not above; each sample weighs one by the
    number of its query's samples. Of equally many samples of each query it is the usual percentile.
    """
    by_query = _by_query(samples)
    weighted = sorted((seconds, 1 / len(each)) for each in by_query.values() for seconds in each)
    wanted = percent / 100 * len(by_query) * (1 - 1e-12)  # sums of thirds and the like are not exact
    reached = 0.0
    for seconds, weight in weighted:
        reached += weight
        if reached >= wanted:
            return seconds
    return weighted[-1][0]


def _by_query(samples: Samples) -> Mapping[int, list[float]]:
    found: dict[int, list[float]] = defaultdict(list)
    for number, seconds in samples:
        found[number].append(seconds)
    return found


def chance_of_more(failed: int, asked: int, others: int, others_asked: int) -> float:
    """How likely of `failed` + `others` failures as many fall to the first, if both fail alike.

    Given their sum, failures of Poisson processes are binomially distributed by the numbers of requests (Przyborowski
    and Wilenski, Homogeneity of results in testing samples from Poisson series, Biometrika 31 (1940) 313-323); the tail
    of a binomial distribution is an incomplete beta function (Abramowitz and Stegun, 26.5.24).
    """
    if not failed:
        return 1.0
    return beta_cdf(asked / (asked + others_asked), failed, others + 1)
