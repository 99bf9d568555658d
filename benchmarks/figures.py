"""From windows to a verdict: the measured figures, the figures derived from them, and the targets.

Pure: no clock, no process, no file. Every figure is the median of the rounds' figures. Service and bare limit are
compared within a round only: minutes apart, other load on the machine would distort the comparison.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from benchmarks.workloads import JPEG, MIXED, RAW224
from topfive_loadgen import verdict
from topfive_loadgen.verdict import Check, Verdict

# Raw 224 x 224 to a service whose backend answers at once: the front end alone, by /v1/classify and by the Open
# Inference Protocol's binary route.
NULL, NULL_OIP, NULL_CONNECTIONS = "null", "null OIP", 8
FRONT_END = (NULL, NULL_OIP)
PROCESS = "process"  # start time and memory of the service

# Measured figures; times in ms.
IMAGES, CPU, CLIENT_CPU, STEP = "images/s", "CPU/image", "client CPU", "batch time"
PERCENTILES = {"p50": 50, "p90": 90, "p99": 99}
BATCH, STAGES = "mean batch", ("decode", "resize", "queue", "inference")
START, MEMORY = "start to ready", "resident memory"
WRONG, BYSTANDER = "wrong answers", "CPU of others"
# Derived figures.
THROUGHPUT, EFFICIENCY, OVERHEAD = "images/s ÷ bare", "bare CPU ÷ CPU", "p50 - bare latency"
LONE_CLIENT, LONE_SHARE = "p50 - 1.08 x bare latency", 1.08
EFFICIENCY_LEAST, BARE_LATENCY = "least bare CPU ÷ CPU", "bare latency"
TAIL, UNEVEN = "p99 ÷ p50", "mean batch, apart from raw224's"
OVER_CLASSIFY = "CPU/image over /v1/classify"

# If programs that are not measured use more CPU than this, in cores, the window is disturbed. Medians over the rounds
# tolerate this share of disturbed windows.
BYSTANDER_LIMIT, DISTURBED_LIMIT = 0.1, 0.2


@dataclass(frozen=True, slots=True)
class Config:
    """A configuration of the bare loop: the sessions side by side, the threads of each, and the batch size."""

    sessions: int
    threads: int
    batch: int

    def __str__(self) -> str:
        return f"{self.sessions} x {self.threads} thread{'s' * (self.threads > 1)}, batch {self.batch}"


# The bare limit is the best of CONFIGS; the bare latency of a single image is the best of LONE.
CONFIGS = tuple(Config(*shape, batch) for shape in ((1, 2), (2, 1)) for batch in (1, 2, 4, 8, 16))
LONE = (Config(1, 1, 1), Config(1, 2, 1))

Setting: TypeAlias = int | Config | None


@dataclass(frozen=True, slots=True)
class Window:
    """One measurement: the service with so many connections, or the bare loop in a configuration."""

    round: int
    scenario: str
    setting: Setting
    values: Mapping[str, float]


class Figure(NamedTuple):
    """The name of a value."""

    name: str
    scenario: str
    setting: Setting = None


@dataclass(frozen=True, slots=True)
class Goal:
    """The target of a figure."""

    figure: Figure
    sense: Literal["≥", "≤"]
    limit: float
    unit: str = ""


TARGETS = (
    Goal(Figure(THROUGHPUT, RAW224, 1), "≥", 0.82),
    *(Goal(Figure(THROUGHPUT, RAW224, connections), "≥", 0.92) for connections in (8, 16)),
    *(Goal(Figure(THROUGHPUT, MIXED, connections), "≥", 0.88) for connections in (8, 16)),
    *(Goal(Figure(EFFICIENCY, RAW224, connections), "≥", 0.93) for connections in (8, 16)),
    *(Goal(Figure(EFFICIENCY, MIXED, connections), "≥", 0.88) for connections in (8, 16)),
    *(Goal(Figure(EFFICIENCY, JPEG, connections), "≥", 0.88) for connections in (8, 16)),
    *(Goal(Figure(OVERHEAD, scenario, 1), "≤", 0.7, "ms") for scenario in (RAW224, MIXED, JPEG)),
    *(Goal(Figure(LONE_CLIENT, scenario, 1), "≤", 0.2, "ms") for scenario in (RAW224, MIXED)),
    *(Goal(Figure(TAIL, scenario, 16), "≤", 1.4) for scenario in (RAW224, MIXED, JPEG)),
    Goal(Figure(UNEVEN, MIXED, 16), "≤", 10.0, "%"),
    Goal(Figure(CPU, NULL, NULL_CONNECTIONS), "≤", 0.20, "ms"),
    Goal(Figure(OVER_CLASSIFY, NULL_OIP, NULL_CONNECTIONS), "≤", 0.05, "ms"),
    Goal(Figure(START, PROCESS), "≤", 2500.0, "ms"),
    Goal(Figure(MEMORY, PROCESS), "≤", 300.0, "MB"),
)


def figures(windows: Sequence[Window]) -> dict[Figure, float]:
    """All measured and derived figures, as medians over the rounds."""
    noted: dict[Figure, list[float]] = {}
    best = {scenario: _best_config(windows, scenario) for scenario in {window.scenario for window in windows}}
    for window in windows:
        beside = [other for other in windows if other.round == window.round]
        for name, value in {**window.values, **_compared(window, beside, best[window.scenario])}.items():
            noted.setdefault(Figure(name, window.scenario, window.setting), []).append(value)
    return {figure: statistics.median(values) for figure, values in noted.items()}


def judge(targets: Iterable[Goal], measured: Mapping[Figure, float]) -> list[Check]:
    """Check each target; `met` is None if the run did not measure its figure."""
    checks = []
    for target in targets:
        value, at_least = measured.get(target.figure), target.sense == "≥"
        met = None if value is None else value >= target.limit if at_least else value <= target.limit
        name = ", ".join(str(part) for part in target.figure if part is not None)
        checks.append(Check(name=name, seen=value, wanted=target.limit, at_least=at_least, unit=target.unit, met=met))
    return checks


def faults(windows: Sequence[Window]) -> list[str]:
    """The reasons why the run is INVALID; empty if it is valid."""
    wrong = sum(window.values.get(WRONG, 0) for window in windows)
    disturbed = sum(window.values.get(BYSTANDER, 0) > BYSTANDER_LIMIT for window in windows)
    too_many = disturbed > DISTURBED_LIMIT * len(windows)
    return [
        *([f"{wrong:.0f} wrong answers"] if wrong else []),
        *([f"other processes used the CPU in {disturbed} of {len(windows)} windows"] if too_many else []),
    ]


def conclude(windows: Sequence[Window], checks: Iterable[Check] = ()) -> Verdict:
    """The verdict on a run, by the targets whose figures it measured."""
    return verdict.conclude([check for check in checks if check.met is not None], faults(windows))


def _best_config(windows: Iterable[Window], scenario: str) -> Config | None:
    """The bare configuration with the most images/s (median over the rounds), among those measured in most rounds.

    There is one for the whole run: the best window of each round would often be a lucky one among noisy windows.
    """
    rates: dict[Config, list[float]] = {}
    for window in windows:
        if window.scenario == scenario and isinstance(window.setting, Config):
            rates.setdefault(window.setting, []).append(window.values[IMAGES])
    most = max(map(len, rates.values()), default=0)
    medians = {config: statistics.median(found) for config, found in rates.items() if len(found) == most}
    return max(medians, key=medians.__getitem__, default=None)


def _compared(window: Window, beside: Iterable[Window], best_config: Config | None) -> dict[str, float]:
    """The figures of a window of the service that compare it with the other windows of its round."""
    own = window.values
    if not isinstance(window.setting, int):
        return {}
    made = {TAIL: own["p99"] / own["p50"]}
    bare = {}
    for other in beside:
        if other.scenario == window.scenario and isinstance(other.setting, Config):
            bare[other.setting] = other.values
        elif (other.scenario, other.setting) == (RAW224, window.setting) and BATCH in own and BATCH in other.values:
            made[UNEVEN] = abs(own[BATCH] / other.values[BATCH] - 1) * 100
        elif (window.scenario, other.scenario) == (NULL_OIP, NULL):
            made[OVER_CLASSIFY] = own[CPU] - other.values[CPU]
    if best_config in bare:
        best = bare[best_config]
        made[THROUGHPUT] = own[IMAGES] / best[IMAGES]
        made[EFFICIENCY] = best[CPU] / own[CPU]
        made[EFFICIENCY_LEAST] = min(values[CPU] for values in bare.values()) / own[CPU]
    lone = [bare[config][STEP] for config in LONE if config in bare]
    if lone:
        made[BARE_LATENCY] = min(lone)
        made[OVERHEAD] = own["p50"] - min(lone)
        made[LONE_CLIENT] = own["p50"] - LONE_SHARE * min(lone)
    return made
