"""All that is known of a service under load, from which the bottleneck is named: values without behaviour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from topfive_pipeline.profiling.stages import Stages
from topfive_pipeline.profiling.usage import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Driven:
    """What the generator saw: latencies of answers with 200 in seconds, and how many `failed`, by status.

    `sent`: requests that were measured. `cpu`: what it took itself, in cores.
    """

    connections: int
    rate: float
    p50: float | None
    p99: float | None
    failed: Mapping[str, int]
    cpu: float
    sent: int

    @property
    def failed_share(self) -> float:
        """Of the requests; 0 if none was measured."""
        return sum(self.failed.values()) / self.sent if self.sent else 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Time of a graph's nodes: `name` is an operator or a node, `milliseconds` for one image, `share` of the graph."""

    name: str
    milliseconds: float
    share: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """What a graph needs for an image against what this machine was seen to do, on as many threads.

    `macs`: multiplications with additions, `moved`: bytes read and written if nothing stays in a cache. `flops` and
    `copied`: the machine's peaks in operations and in bytes a second, measured just before.
    """

    macs: float
    moved: float
    seconds: float
    flops: float
    copied: float

    @property
    def of_flops(self) -> float:
        """The share of the machine's multiplications that the graph reaches."""
        return 2 * self.macs / self.seconds / self.flops

    @property
    def of_copied(self) -> float:
        """The share of the machine's bandwidth that it would need if nothing stayed in a cache; may exceed 1."""
        return self.moved / self.seconds / self.copied


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphTime:
    """A graph by itself, as the service opens it: `seconds` for an image, and where they go."""

    title: str
    file: str
    engine: str
    precision: str
    threads: int
    batch: int
    seconds: float
    overhead: float
    operators: Sequence[Spent]
    nodes: Sequence[Spent]
    roof: Roof | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """`gpu`: the mean share of time in which a GPU computed, None without one. `own_cpu`: of what watches, in cores."""

    stages: Stages | None
    usage: Usage
    load: Driven | None = None
    gpu: float | None = None
    own_cpu: float = 0.0
    graphs: Sequence[GraphTime] = ()
    model: str = ""

    @property
    def limit(self) -> float | None:
        """Cores that the service may use."""
        told = None if self.stages is None else self.stages.cores_limit
        return told or self.usage.cpus

    @property
    def fullness(self) -> float | None:
        """The share in use of the service's cores, or of the machine's if these are fuller."""
        used = self.usage
        shares = []
        if used.cores is not None and self.limit:
            shares.append(used.cores / self.limit)
        if used.machine is not None and used.cpus:
            shares.append((used.machine + (used.steal or 0.0)) / used.cpus)
        return min(1.0, max(shares)) if shares else None

    @property
    def strangers(self) -> float | None:
        """CPU in cores of processes that are neither the service nor what measures it."""
        others = self.usage.others
        if others is None:
            return None
        return max(0.0, others - self.own_cpu - (self.load.cpu if self.load else 0.0))
