"""What a configuration is tuned for: the highest rate at which percentiles of the latency stay below limits. Pure."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.under_load.load import Probe

THROUGHPUT: Final = "throughput"
FAILED_AT_MOST: Final = 0.001
"""The share of requests that may be refused or fail: more, and the rate does not hold, however fast the others were."""
_LIMIT: Final = re.compile(r"p(?P<percent>\d{1,2}(\.\d{1,2})?):(?P<number>\d+(\.\d+)?)(?P<unit>ms|s)")
_UNITS: Final = {"ms": 1e-3, "s": 1.0}
_FEWEST: Final = 20
"""Answers in a probe, whatever the percentile: the median of a few says nothing."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At least `percent` % of the answers come within `seconds` of when they were due to be asked for."""

    percent: str
    seconds: float

    @property
    def fewest(self) -> int:
        """With fewer answers the percentile is only the slowest of them."""
        return max(_FEWEST, math.ceil(100 / (100 - Fraction(self.percent))))


@dataclass(frozen=True, slots=True)
class Objective:
    """`limits` that all must hold; without any it is the throughput. `text`: as it was said."""

    limits: tuple[Limit, ...]
    text: str

    @property
    def fewest(self) -> int:
        """Answers that a probe must have."""
        return max((limit.fewest for limit in self.limits), default=1)

    @property
    def longest(self) -> float:
        """The longest latency that is allowed, in seconds; 0 without limits."""
        return max((limit.seconds for limit in self.limits), default=0.0)

    def margin(self, probe: Probe) -> float:
        """How far `probe` misses: the log of (latency / limit), of the limit that is missed most; below 0 if it holds.

        Infinite if too many requests failed, or too few answers came to tell, or the generator is in doubt: a rate that
        is not shown to hold does not count as one.
        """
        if probe.fault or probe.failed_share > FAILED_AT_MOST or len(probe.latencies) < self.fewest:
            return math.inf
        return max(math.log(max(probe.at(limit.percent), 1e-9) / limit.seconds) for limit in self.limits)


def parsed(text: str) -> Objective:
    """The objective that `--objective TEXT` means; raises `ConfigurationError`."""
    limits: list[Limit] = []
    for part in text.split(","):
        word = part.strip().lower()
        if word == THROUGHPUT:
            continue
        said = _LIMIT.fullmatch(word)
        if said is None or float(said["number"]) == 0 or float(said["percent"]) == 0:
            raise ConfigurationError(
                f"--objective {text}: '{part.strip()}' is none; say a percentile and its limit, as p99:50ms or "
                "p50:0.02s, several with commas between them, or throughput"
            )
        if said["percent"] in {limit.percent for limit in limits}:
            raise ConfigurationError(f"--objective {text}: p{said['percent']} is said twice; keep one limit of it")
        limits.append(Limit(said["percent"], float(said["number"]) * _UNITS[said["unit"]]))
    return Objective(
        tuple(limits), ",".join(f"p{each.percent}:{each.seconds * 1e3:g}ms" for each in limits) or THROUGHPUT
    )
