"""The results of a load test and their file: one JSON document, which `report`, `gate` and `--baseline` read.

Times are in seconds, memory in bytes, CPU in cores (CPU seconds per second). A figure that was not measured is None,
never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from topfive_loadgen import mixes
from topfive_loadgen.percentiles import Latencies

FORMAT: Final = 1

Mix = mixes.Mix
MIXES: Final = mixes.MIXES


class UnreadableRun(Exception):
    """A file that is not a stored run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server's own figures for the time of a measurement; None for a figure that it does not report."""

    cpu_cores: float | None = None
    resident_bytes: float | None = None  # the maximum
    mean_batch: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)  # decode, resize, queue, inference: mean per request


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A window of steady load. `count`: right answers; `p50`, `p99`: of these, None if there are none."""

    began: float  # since the run began
    seconds: float
    count: int
    errors: int
    p50: float | None
    p99: float | None

    @property
    def throughput(self) -> float:
        """Right answers per second."""
        return self.count / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A closed loop: a number of workers on one mix of queries, each with one request in flight.

    `windows`: all after the warm-up. All other figures are computed from the last `agreed` windows. `settled` is false
    if the windows did not agree within the bound. `latency` is of all queries together.
    """

    mix: Mix
    workers: int
    processes: int
    windows: Sequence[Window]
    agreed: int
    settled: bool
    throughput: float
    latency: Latencies | None
    scenarios: Mapping[str, Latencies]
    kinds: Mapping[str, Latencies]
    errors: Mapping[str, int]  # what was wrong -> how often
    server: Server | None
    generator_cores: float | None
    cut: bool = False  # the server was lost within it

    @property
    def error_ratio(self) -> float:
        """The share of answers that were not right."""
        wrong = sum(self.errors.values())
        return wrong / max(1, wrong + (self.latency.count if self.latency else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """An open loop: Poisson arrivals at a fixed rate, latencies from the scheduled time.

    `lag_p50`, `lag_p99`: how much later than scheduled the generator sent, not counting waits for a free connection;
    `starved`: how many requests had such a wait. `faults`: why the run is INVALID.
    """

    mix: Mix
    rate: float
    seconds: float
    seed: int
    latency: Latencies | None
    throughput: float
    errors: Mapping[str, int]
    lag_p50: float | None
    lag_p99: float | None
    connections: int
    generator_cores: float
    server: Server | None
    faults: Sequence[str]
    starved: int = 0
    began: float | None = None  # since the run began

    @property
    def valid(self) -> bool:
        """Whether its figures are the server's: it has no faults."""
        return not self.faults

    @property
    def error_ratio(self) -> float:
        """The share of requests whose answer was wrong or never came."""
        wrong = sum(self.errors.values())
        return wrong / max(1, wrong + (self.latency.count if self.latency else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The highest rate that meets an objective. `rate` is None if no rate does; `faults` make it INVALID."""

    mix: Mix
    p99_at_most: float
    errors_at_most: float
    rate: float | None
    probes: Sequence[OpenRun]
    faults: Sequence[str]

    @property
    def valid(self) -> bool:
        """Whether the server limits the rate, and not the generator or the search."""
        return not self.faults


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapePoint:
    """One second of a shape."""

    at: float
    users: int
    throughput: float
    errors: int
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeRun:
    """A closed loop whose number of workers changes: `spike`, `soak` or `ramp`."""

    shape: str
    mix: Mix
    points: Sequence[ShapePoint]
    latency: Latencies | None
    errors: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The server's CPU and memory at a time since the run began, and the phase of the run."""

    at: float
    cpu_cores: float | None
    resident_bytes: float | None
    phase: str  # such as "random × 8" or "open 120/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A time in which the server did not answer some question: its metrics, or its health. Since the run began."""

    of: Literal["metrics", "health"]
    began: float
    ended: float
    count: int  # questions without an answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The end of the server under test. `at`: since the run began; `said`: when the run knew."""

    at: float
    said: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """Whether generator and server have cores in common. `cores`: how many; None where that cannot be known.

    `told`: the same in words, with how it is known. `share`: of the CPU time that both used while something was
    measured, the generator's; None where the server's is not known.
    """

    cores: int | None
    told: str
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """The generators' own limits, measured against a server that answers at once.

    `closed`: Locust's. `floor`: the open loop at a low rate. `ceiling`: the open loop at the highest rate at which it
    kept up with its schedule; None if there was none.
    """

    closed: Sequence[Cell]
    floor: OpenRun | None
    ceiling: OpenRun | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All results of one run. `name` identifies it in a comparison; `faults` make the whole run INVALID."""

    name: str
    url: str
    began: str  # ISO 8601, UTC
    seconds: float
    environment: Mapping[str, str | int | float | Mapping[str, str] | None]
    null: Null | None = None
    closed: Sequence[Cell] = ()
    shapes: Sequence[ShapeRun] = ()
    open: Sequence[OpenRun] = ()
    capacities: Sequence[Capacity] = ()
    moments: Sequence[Moment] = ()
    scrapes: int = 0  # how often the server was asked for its metrics
    gaps: Sequence[Gap] = ()
    lost: Lost | None = None
    sharing: Sharing | None = None
    faults: Sequence[str] = ()
    format: Literal[1] = FORMAT


@dataclass(frozen=True, slots=True)
class Totals:
    """All requests to the server under test in a run. `right`: answers; `wrong`: all that was no right answer."""

    right: int
    wrong: int

    @property
    def error_ratio(self) -> float:
        """The share of requests that had no right answer."""
        return self.wrong / max(1, self.right + self.wrong)


def totals(run: Run) -> Totals:
    """The requests behind the figures of a run; those of the null backend are not the server's."""
    loops = [*run.open, *(probe for capacity in run.capacities for probe in capacity.probes)]
    measured: list[Cell | ShapeRun | OpenRun] = [*run.closed, *run.shapes, *loops]
    return Totals(
        right=sum(one.latency.count for one in measured if one.latency),
        wrong=sum(sum(one.errors.values()) for one in measured),
    )


_RUN: Final = TypeAdapter(Run)


def save(run: Run, path: Path) -> None:
    """Write the run as JSON."""
    path.write_bytes(_RUN.dump_json(run, indent=1) + b"\n")


def load(path: Path) -> Run:
    """Read a run; raises `UnreadableRun`."""
    try:
        return _RUN.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UnreadableRun(f"{path} is not a stored run of `python -m loadtests`: {error}") from error
