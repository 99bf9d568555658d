"""Percentiles of all samples, by nearest rank: each is a latency that was measured. Pure.

Locust's own table, and histograms in general, round each sample. An interpolated p99 is a latency of no request.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal

# As in HdrHistogram's percentile plots: the points become denser towards 100 %, to show the shape of the tail.
CURVE: Final = (
    *range(0, 90, 2),
    *(90 + step / 2 for step in range(18)),
    *(99 + step / 20 for step in range(18)),
    *(99.9 + step / 200 for step in range(20)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """The latencies of right answers. `curve`: (percentile, seconds), ascending."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    max: float
    curve: Sequence[tuple[float, float]]


Standing = Literal["trusted", "coarse", "not measured"]
ENOUGH_BEYOND: Final = 10


def standing(count: int, percent: float) -> Standing:
    """How far a percentile of `count` samples can be trusted.

    Trusted with at least 10 samples beyond it (1000 in all for p99), coarse with fewer. With less than one (fewer than
    100 in all for p99) it is only the largest sample, and counts as not measured.
    """
    beyond = count * (100 - Fraction(str(percent))) / 100
    if beyond >= ENOUGH_BEYOND:
        return "trusted"
    return "coarse" if beyond >= 1 else "not measured"


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest sample that at least `percent` % of all are not above (numpy's `inverted_cdf`).

    `ordered`: ascending, not empty. `percent`: from 0, the smallest, to 100, the largest.
    """
    if not ordered:
        raise ValueError("there is no percentile of no samples")
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is no percentile: from 0 to 100")
    exact = _exact(percent)
    rank = -(-exact.numerator * len(ordered) // (exact.denominator * 100))  # rounded up
    return ordered[max(rank, 1) - 1]


@lru_cache(maxsize=256)  # more than a summary asks for
def _exact(percent: float) -> Fraction:
    """As it is written: 0.29 * 100 is 28.999999999999996 in floating point, which gives a rank too low."""
    return Fraction(str(percent))


def percentile_of(samples: Iterable[float], percent: float) -> float:
    """As `percentile`, of samples in any order; nan if there are none."""
    ordered = sorted(samples)
    return percentile(ordered, percent) if ordered else math.nan


def summarise(samples: Iterable[float]) -> Latencies | None:
    """The figures reported for these latencies (seconds); None if there are none."""
    ordered = sorted(samples)
    if not ordered:
        return None
    # The curve ends where the samples do: each further point would be the largest sample again.
    reach = 100 * (1 - 1 / len(ordered))
    return Latencies(
        count=len(ordered),
        mean=math.fsum(ordered) / len(ordered),
        p50=percentile(ordered, 50),
        p90=percentile(ordered, 90),
        p99=percentile(ordered, 99),
        max=ordered[-1],
        curve=[(float(point), percentile(ordered, point)) for point in CURVE if point <= reach]
        + [(100.0, ordered[-1])],
    )
