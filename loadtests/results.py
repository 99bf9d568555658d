"""What a load test found, as it is stored: one JSON document, read back by `report`, `gate` and `--baseline`.

What lives here: the data and its file. What does not: measuring, judging, drawing. Times are in seconds, memory in
bytes, CPU in cores (CPU seconds per second); what was not measured is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import TypeAdapter, ValidationError

from loadgen.percentiles import Latencies

FORMAT: Final = 1

Mix = Literal["random", "complex"]
MIXES: Final[tuple[Mix, ...]] = ("random", "complex")


class UnreadableRun(Exception):
    """A file that is not a stored run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """What the server said of itself for the time of a measurement; None for what it does not tell."""

    cpu_cores: float | None = None
    resident_bytes: float | None = None  # the most seen
    mean_batch: float | None = None
    stages: Mapping[str, float] = field(default_factory=dict)  # decode, resize, queue, inference: mean of a request


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of steady load. `count`: right answers; `p50`, `p99` of them, None if there was none."""

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
    """A closed loop: so many workers on one mix of queries, each with one request in flight.

    `windows`: all after the warm-up; the last `agreed` of them are what everything else here is made of, and if the
    rule of the windows was not met within the bound, `settled` is false. `latency` is of all queries together.
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
    errors: Mapping[str, int]  # by kind: what was wrong -> how often
    server: Server | None
    generator_cores: float | None

    @property
    def error_ratio(self) -> float:
        """Answers that were not right, of all."""
        wrong = sum(self.errors.values())
        return wrong / max(1, wrong + (self.latency.count if self.latency else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """An open loop: Poisson arrivals at a fixed rate, latencies from the scheduled time.

    `lag_p50`, `lag_p99`: how much later than scheduled the generator sent, not counting what it waited for one of its
    connections; `starved`: how many requests had to wait so. `faults`: what makes it INVALID.
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

    @property
    def valid(self) -> bool:
        """Whether it says something of the server."""
        return not self.faults

    @property
    def error_ratio(self) -> float:
        """Answers that were not right, or never came, of all."""
        wrong = sum(self.errors.values())
        return wrong / max(1, wrong + (self.latency.count if self.latency else 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """The highest rate that meets an objective. `rate` is None where none did; `faults` make it INVALID."""

    mix: Mix
    p99_at_most: float
    errors_at_most: float
    rate: float | None
    probes: Sequence[OpenRun]
    faults: Sequence[str]

    @property
    def valid(self) -> bool:
        """Whether the rate is the server's and not the generator's or the search's."""
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
    """What the server used at a time since the run began, and what was being measured."""

    at: float
    cpu_cores: float | None
    resident_bytes: float | None
    phase: str  # "random × 8", "open 120/s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    """The generators against a backend that answers at once: their own limits, which are not the server's.

    `closed`: Locust's. `floor`: the open loop's at a low rate. `ceiling`: the open loop at the highest rate at which it
    kept up; None if it did at none.
    """

    closed: Sequence[Cell]
    floor: OpenRun | None
    ceiling: OpenRun | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All of one run. `name` tells it from others in a comparison; `faults` make it INVALID as a whole."""

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
    faults: Sequence[str] = ()
    format: Literal[1] = FORMAT


_RUN: Final = TypeAdapter(Run)


def save(run: Run, path: Path) -> None:
    """Write it as JSON."""
    path.write_bytes(_RUN.dump_json(run, indent=1) + b"\n")


def load(path: Path) -> Run:
    """Read it back; raises `UnreadableRun`."""
    try:
        return _RUN.validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UnreadableRun(f"{path} is not a stored run of `python -m loadtests`: {error}") from error
