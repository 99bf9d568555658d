"""Names what bounds a service under load, by plain rules over the evidence. Pure.

What lives here: the rules, in the order in which they are asked; the first that holds is the bottleneck, and those that
hold besides are told. What does not: what to try, in words (`profiling.advice`), and how evidence is gathered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from topfive_pipeline.profiling import advice
from topfive_pipeline.profiling.evidence import Evidence
from topfive_pipeline.profiling.stages import REST

FAILED: Final = 0.1
"""Of the requests: with so many failures, what was measured is not the load that was meant."""
FULL: Final = 0.85
"""Of the cores: beyond this, more work does not fit."""
IDLE: Final = 0.70
"""Of the cores: below this, cores are not what is short."""
MOST: Final = 0.6
"""Of a request's work: a stage with so much of it is where the cores are used; else the next one is told too."""
THROTTLED: Final = 0.1
"""Of the quota's periods; a few are held back by a burst, and cost nothing."""
LOOP: Final = 0.8
"""Of a core: an event loop, which is one thread, has nothing left to be quick with."""
STRANGERS: Final = 0.15
"""Of the cores: others that take so much cost the service more than the noise of a measurement."""
WAITED: Final = 0.1
"""Of the time in which threads could run: so much waiting for a core is felt in every latency."""
STOLEN: Final = 0.1
FAULTS: Final = 20.0
"""Major faults a second: each waits for a disk, a tenth of a millisecond to ten."""
STALLED: Final = 0.1
"""Of the time, by the kernel's pressure: tasks stood still for want of memory or of a disk."""
TAKEN: Final = 0.9
"""Of the slots."""
GPU: Final = 0.85
ONE: Final = 1.3
"""Requests in flight: fewer are one client that waits for each answer."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What bounds the service: a `key` for programs, the name, the figures that say so, and what to try in order."""

    key: str
    name: str
    figures: tuple[str, ...]
    tries: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The name with its figures and the first thing to try."""
        told = f"{self.name}: {'; '.join(self.figures)}" if self.figures else self.name
        return f"{told}. Try first: {self.tries[0]}" if self.tries else told


def verdict(evidence: Evidence) -> tuple[Finding, ...]:
    """The bottleneck, then what else holds. Never empty: what cannot be told is a finding too."""
    if evidence.stages is None:
        return (_nothing(evidence),)
    found = tuple(finding for rule in _RULES if (finding := rule(evidence)) is not None)
    return found or (_unknown(evidence),)


def _nothing(evidence: Evidence) -> Finding:
    failed = dict(evidence.load.failed) if evidence.load is not None else {}
    figures = (_by_status(failed),) if failed else ()
    return Finding(
        "nothing", "Unknown: no request was answered while it was watched", figures, advice.nothing(evidence)
    )


def _failures(evidence: Evidence) -> Finding | None:
    """Failures are not answers: where many are, all other figures are of what was left."""
    load = evidence.load
    if load is None or load.failed_share < FAILED:
        return None
    figures = (f"{load.failed_share:.0%} of all requests failed: {_by_status(load.failed)}",)
    return Finding("failures", "Many requests failed, and all other figures are of the rest", figures, advice.FAILURES)


def _by_status(failed: Mapping[str, int]) -> str:
    return ", ".join(f"{count} with {status}" for status, count in failed.items())


def _quota(evidence: Evidence) -> Finding | None:
    share = evidence.usage.throttled
    if share is None or share < THROTTLED:
        return None
    seconds = evidence.usage.throttled_seconds or 0.0
    figures = (f"held back in {share:.0%} of the quota's periods, {seconds:.2f} s a second over its threads",)
    return Finding("quota", "Bound by the CPU quota of its control group", figures, advice.QUOTA)


def _memory(evidence: Evidence) -> Finding | None:
    used = evidence.usage
    figures = []
    if (used.major_faults or 0.0) >= FAULTS:
        figures.append(f"{used.major_faults:.0f} major faults a second")
    if (used.swapped or 0.0) >= FAULTS:
        figures.append(f"{used.swapped:.0f} pages a second from swap")
    if used.memory_events:
        figures.append(f"its group reached its memory limit {used.memory_events} times")
    stalled = (used.pressure or {}).get("memory", 0.0)
    if stalled >= STALLED:
        figures.append(f"tasks stood still for memory {stalled:.0%} of the time")
    return Finding("memory", "Bound by too little memory", tuple(figures), advice.MEMORY) if figures else None


def _neighbours(evidence: Evidence) -> Finding | None:
    used, strangers, full = evidence.usage, evidence.strangers, evidence.fullness
    cpus = used.cpus or 1
    stolen = (used.steal or 0.0) / cpus
    waited = used.waited_share or 0.0
    if stolen >= STOLEN:
        given = f"the host gave {stolen:.0%} of this machine's CPU time to other machines"
        return Finding("neighbours", "Slowed by noisy neighbours, other virtual machines", (given,), advice.STEAL)
    if strangers is None or full is None or strangers < STRANGERS * cpus or full < FULL or waited < WAITED:
        return None
    figures = (
        f"other processes take {strangers:.1f} of {cpus} cores{_named(used.foreign)}",
        f"ready threads waited {waited:.0%} of their time for a core",
    )
    return Finding("neighbours", "Slowed by noisy neighbours on this machine", figures, advice.NEIGHBOURS)


def _named(foreign: Sequence[tuple[str, float]]) -> str:
    """The busiest of them; several that are gone meanwhile may have taken more."""
    return f" (most of all {', '.join(f'{name} {cores:.1f}' for name, cores in foreign)})" if foreign else ""


def _gpu(evidence: Evidence) -> Finding | None:
    if evidence.gpu is None or evidence.gpu < GPU:
        return None
    return Finding("gpu", "GPU-bound", (f"the GPU computed {evidence.gpu:.0%} of the time",), advice.gpu(evidence))


def _loop(evidence: Evidence) -> Finding | None:
    busy = evidence.usage.loop
    if busy is None or busy < LOOP:
        return None
    return Finding("loop", "Bound by the event loop", (f"its one thread is busy {busy:.0%} of a core",), advice.LOOP)


def _cores(evidence: Evidence) -> Finding | None:
    """All cores are busy: in which stage?"""
    stages, full = evidence.stages, evidence.fullness
    if stages is None or full is None or full < FULL:
        return None
    stage, second, *_ = sorted(("decode", "resize", "inference", REST), key=stages.share, reverse=True)
    share = stages.share(stage)
    besides = f", {advice.STAGE_NAMES[second]} {stages.share(second):.0%}" if share < MOST else ""
    figures = (
        f"{full:.0%} of the cores are busy",
        f"{advice.STAGE_NAMES[stage]} is {share:.0%} of a request's work{besides}",
        *_operators(evidence, stage),
        *_shared(evidence),
    )
    name = {
        "decode": "CPU-bound in decoding images",
        "resize": "CPU-bound in resizing images",
        "inference": "CPU-bound in the network",
        REST: "CPU-bound outside of the stages: receiving, the event loop, answering",
    }[stage]
    return Finding(f"cpu:{stage}", name, figures, advice.cores(evidence, stage))


def _operators(evidence: Evidence, stage: str) -> Sequence[str]:
    graph = next((each for each in evidence.graphs if each.title == stage), None)
    if graph is None or not graph.operators:
        return ()
    first = graph.operators[0]
    return (f"of the {'network' if stage == 'inference' else 'resize graph'} {first.name} is {first.share:.0%}",)


def _shared(evidence: Evidence) -> Sequence[str]:
    load, cpus = evidence.load, evidence.usage.cpus
    if load is None or evidence.usage.cores is None or load.cpu < 0.05:
        return ()
    return (f"the load generator took {load.cpu:.1f} of {cpus} cores that the service would have had",)


def _disk(evidence: Evidence) -> Finding | None:
    used = evidence.usage
    stalled = (used.pressure or {}).get("io", 0.0)
    read = used.read_rate or 0.0
    if stalled < STALLED or read < 1e6:
        return None
    figures = (f"tasks stood still for disks {stalled:.0%} of the time", f"it reads {read / 1e6:.1f} MB a second")
    return Finding("disk", "Bound by reading from disks", figures, advice.DISK)


def _slots(evidence: Evidence) -> Finding | None:
    stages, full = evidence.stages, evidence.fullness
    if stages is None or full is None or full >= IDLE or stages.busy_share is None or stages.busy_share < TAKEN:
        return None
    figures = (f"{stages.slots_busy:.1f} of {stages.slots:.0f} slots are busy", f"only {full:.0%} of the cores are")
    return Finding("slots", "Bound by too few slots or threads", figures, advice.slots(evidence))


def _generator(evidence: Evidence) -> Finding | None:
    load, full = evidence.load, evidence.fullness
    if load is None or full is None or full >= FULL or load.cpu < TAKEN:
        return None
    figures = (f"the generator, one process, is busy {load.cpu:.0%} of a core", f"{full:.0%} of the cores are busy")
    return Finding("generator", "Limited by the load generator, not by the service", figures, advice.GENERATOR)


def _client(evidence: Evidence) -> Finding | None:
    """Cores and slots have room, and little waits: whoever sends does not send more."""
    stages, full = evidence.stages, evidence.fullness
    if stages is None or full is None or full >= FULL or (stages.queued or 0.0) >= 1:
        return None
    if (evidence.load is None and full >= IDLE) or (stages.busy_share or 0.0) >= TAKEN:
        return None
    stage = max(stages.seconds, key=lambda each: stages.seconds[each])
    figures = [f"{full:.0%} of the cores are busy, of which the service takes {evidence.usage.cores or 0.0:.1f}"]
    figures.append(f"{stages.queued or 0.0:.1f} images wait on average")
    figures.append(f"an answer takes {stages.request * 1e3:.1f} ms, most of it {advice.STAGE_NAMES[stage]}")
    one = evidence.load.connections == 1 if evidence.load else (stages.in_flight or 0.0) <= ONE
    name = "Limited by the client, which waits for each answer" if one else "Limited by the client or the network"
    return Finding("client", name, tuple(figures), advice.client(evidence, stage, one=one))


def _unknown(evidence: Evidence) -> Finding:
    full = evidence.fullness
    known = "how busy the cores are is not known here" if full is None else f"{full:.0%} of the cores are busy"
    return Finding("unknown", "Unknown: no rule names one limit", (known,), advice.UNKNOWN)


_RULES: Final[tuple[Callable[[Evidence], Finding | None], ...]] = (
    _failures,
    _quota,
    _memory,
    _neighbours,
    _gpu,
    _loop,
    _cores,
    _disk,
    _slots,
    _generator,
    _client,
)
"""What lies outside of the service first: while that holds, figures of the service itself mislead."""
