"""The windows of a closed loop: when it has been measured for long enough, and their figures. Pure.

As with MLPerf and perf_analyzer, a result counts only after it has repeated itself.
"""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.recorder import Sample
from loadtests.results import Window
from topfive_loadgen import percentiles
from topfive_loadgen.percentiles import Latencies

AGREED: Final = 3
"""How many windows in a row must agree."""
TOLERANCE: Final = 0.10
"""How far apart they may be in throughput and in median latency, as a share of the median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How long to measure: a warm-up, then windows until `AGREED` of them agree, at most `windows_most`."""

    warm_up_seconds: float = 3.0
    window_seconds: float = 5.0
    windows_most: int = 10

    @property
    def seconds_most(self) -> float:
        """The longest time that a measurement can take."""
        return self.warm_up_seconds + self.windows_most * self.window_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The summary of all samples of some windows."""

    latency: Latencies | None
    scenarios: Mapping[str, Latencies]
    kinds: Mapping[str, Latencies]
    errors: Mapping[str, int]


def window(samples: Sequence[Sample], *, start: float, seconds: float, zero: float) -> Window:
    """The window from `start` on, with the requests that ended in it; `zero`: when the run began."""
    within = [one for one in samples if start <= one.ended < start + seconds]
    right = sorted(one.seconds for one in within if not one.error)
    return Window(
        began=start - zero,
        seconds=seconds,
        count=len(right),
        errors=len(within) - len(right),
        p50=percentiles.percentile(right, 50) if right else None,
        p99=percentiles.percentile(right, 99) if right else None,
    )


def agree(windows: Sequence[Window]) -> bool:
    """Whether the last `AGREED` windows are within `TOLERANCE`, and all of them have right answers."""
    last = windows[-AGREED:]
    if len(last) < AGREED:
        return False
    throughputs = [one.throughput for one in last]
    medians = [one.p50 for one in last if one.p50 is not None]
    return len(medians) == AGREED and _spread(throughputs) <= TOLERANCE and _spread(medians) <= TOLERANCE


def _spread(values: Sequence[float]) -> float:
    """The distance from least to most, as a share of the median."""
    return (max(values) - min(values)) / statistics.median(values)


def stretch(samples: Sequence[Sample]) -> Stretch:
    """The summary of these samples."""
    scenarios: defaultdict[str, list[float]] = defaultdict(list)
    kinds: defaultdict[str, list[float]] = defaultdict(list)
    errors: Counter[str] = Counter()
    for one in samples:
        if one.error:
            errors[one.error] += 1
            continue
        scenarios[one.scenario].append(one.seconds)
        kinds[f"{one.scenario}: {one.kind}"].append(one.seconds)
    return Stretch(
        latency=percentiles.summarise(seconds for found in scenarios.values() for seconds in found),
        scenarios=_each(scenarios),
        kinds=_each(kinds),
        errors=dict(errors.most_common()),
    )


def _each(groups: Mapping[str, Sequence[float]]) -> dict[str, Latencies]:
    summaries = ((name, percentiles.summarise(found)) for name, found in sorted(groups.items()))
    return {name: summary for name, summary in summaries if summary is not None}
