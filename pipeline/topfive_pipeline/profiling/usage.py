"""What a service and its machine used between two looks, per second, with its threads by what they do. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from topfive_pipeline.profiling.readings import Machine, Process, Reading, Thread

LOOP: Final = "event loop"
INFERENCE: Final = "inference threads"
PREPARATION: Final = "decode and resize threads"
DECODING: Final = "decoding processes"
UNNAMED: Final = "other threads (ONNX Runtime's own, log, …)"
NAMELESS: Final = "threads whose names are not known"
_ROLES: Final[Mapping[str, str]] = {"compute": INFERENCE, "prepare": PREPARATION, "prepare-dear": PREPARATION}
"""What Python threads of the service do, by the names of their pools."""
_NUMBER: Final = re.compile(r"[-_]\d+$")
_FOREIGN: Final = 3
_NOTABLE: Final = 0.05
"""Cores, of a process that is told by name."""
_SERVING: Final = 4
"""A process of so many threads serves; a supervisor and a decoding process have fewer."""


@dataclass(frozen=True, slots=True)
class Role:
    """Threads that do the same, together. `cpu` in cores, `waited` in seconds a second ready to run without a core.

    `busiest`: the CPU of the one that used most, in cores. Context switches a second.
    """

    name: str
    threads: int
    cpu: float
    busiest: float
    waited: float
    voluntary: float
    involuntary: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Per second between two looks; None for what the kernel does not tell here.

    `foreign`: the processes that are no part of it and used most, with their cores.
    `cores`, `others`, `machine`: CPU seconds a second of the service, of all else on the machine, of both. `throttled`:
    the share of the quota's periods in which the service was held back. `pressure`: the share of the time in which a
    task stood still for want of a resource, of the service's group if it tells, else of the machine. `nodes`: the share
    of the memory on each node. `read_rate` and `write_rate`: bytes of disks.
    """

    seconds: float
    foreign: tuple[tuple[str, float], ...] = ()
    cores: float | None = None
    machine: float | None = None
    cpus: int | None = None
    waits: float | None = None
    steal: float | None = None
    roles: tuple[Role, ...] = ()
    throttled: float | None = None
    throttled_seconds: float | None = None
    pressure: Mapping[str, float] | None = None
    major_faults: float | None = None
    swapped: float | None = None
    memory_events: int | None = None
    read_rate: float | None = None
    write_rate: float | None = None
    resident: int | None = None
    proportional: int | None = None
    nodes: Mapping[int, float] | None = None
    megahertz: tuple[float, float] | None = None

    @property
    def others(self) -> float | None:
        """CPU seconds a second of all other processes."""
        return None if self.machine is None or self.cores is None else max(0.0, self.machine - self.cores)

    @property
    def loop(self) -> float | None:
        """CPU of the busiest event loop, in cores."""
        return max((role.busiest for role in self.roles if role.name == LOOP), default=None)

    @property
    def waited_share(self) -> float | None:
        """Of the time in which the service's threads could have run, the share in which they had no core."""
        ready = sum(role.cpu + role.waited for role in self.roles)
        return sum(role.waited for role in self.roles) / ready if ready else None


def between(
    first: Reading, last: Reading, *, names: Mapping[int, str], measuring: Collection[int] = frozenset()
) -> Usage:
    """What was used between two looks.

    `names`: of threads, by their ids, as Python has them. `measuring`: processes that are there only to measure.
    """
    seconds = max(1e-9, last.at - first.at)
    return Usage(
        seconds=seconds,
        foreign=_foreign(first, last, measuring, seconds),
        **_of_processes(first, last, seconds),
        roles=_roles(first, last, names, seconds),
        **_of_machine(first.machine, last.machine, seconds),
        **_of_group(first, last, seconds),
    )


def _foreign(
    first: Reading, last: Reading, measuring: Collection[int], seconds: float
) -> tuple[tuple[str, float], ...]:
    found = [
        (f"{name} ({pid})", (cpu - first.others.get(pid, (name, 0.0))[1]) / seconds)
        for pid, (name, cpu) in last.others.items()
        if pid not in measuring
    ]
    found.sort(key=lambda each: -each[1])
    return tuple((name, cores) for name, cores in found[:_FOREIGN] if cores >= _NOTABLE)


def _of_processes(first: Reading, last: Reading, seconds: float) -> dict[str, Any]:
    if not last.processes:
        return {}
    both = [(first.processes.get(pid), process) for pid, process in last.processes.items()]
    read = [(now.io[0] - (then.io[0] if then and then.io else 0)) for then, now in both if now.io is not None]
    written = [(now.io[1] - (then.io[1] if then and then.io else 0)) for then, now in both if now.io is not None]
    memory = [process.memory for _, process in both if process.memory is not None]
    return {
        "cores": sum(now.cpu - (then.cpu if then else 0.0) for then, now in both) / seconds,
        "major_faults": sum(now.major_faults - (then.major_faults if then else 0) for then, now in both) / seconds,
        "read_rate": sum(read) / seconds if read else None,
        "write_rate": sum(written) / seconds if written else None,
        "resident": sum(each.get("Rss", 0) for each in memory) if memory else None,
        "proportional": sum(each.get("Pss", 0) for each in memory) if memory else None,
        "nodes": _nodes([process for _, process in both]),
    }


def _nodes(processes: Sequence[Process]) -> Mapping[int, float] | None:
    found: dict[int, int] = {}
    for process in processes:
        for node, size in (process.nodes or {}).items():
            found[node] = found.get(node, 0) + size
    total = sum(found.values())
    return {node: size / total for node, size in sorted(found.items())} if total else None


def _of_machine(first: Machine | None, last: Machine | None, seconds: float) -> dict[str, Any]:
    if first is None or last is None:
        return {}
    return {
        "cpus": last.cpus,
        "machine": (last.busy - first.busy) / seconds,
        "waits": (last.waits - first.waits) / seconds,
        "steal": (last.steal - first.steal) / seconds,
        "swapped": None if last.swapped is None or first.swapped is None else (last.swapped - first.swapped) / seconds,
        "megahertz": (min(last.megahertz), max(last.megahertz)) if last.megahertz else None,
    }


def _of_group(first: Reading, last: Reading, seconds: float) -> dict[str, Any]:
    found: dict[str, Any] = {}
    then, now = first.group.throttling, last.group.throttling
    if then is not None and now is not None:
        periods = now.periods - then.periods
        found["throttled"] = (now.throttled - then.throttled) / periods if periods else 0.0
        found["throttled_seconds"] = (now.seconds - then.seconds) / seconds
    if last.group.events:
        grave = ("high", "max", "oom")
        found["memory_events"] = sum(last.group.events.get(each, 0) - first.group.events.get(each, 0) for each in grave)
    before, after = dict(_all_pressure(first)), dict(_all_pressure(last))
    if after:
        found["pressure"] = {name: (after[name] - before.get(name, after[name])) / seconds for name in after}
    return found


def _all_pressure(reading: Reading) -> Iterator[tuple[str, float]]:
    """Of the machine, and instead of it of the group where that tells."""
    if reading.machine is not None:
        yield from reading.machine.pressure.items()
    yield from reading.group.pressure.items()


def _roles(first: Reading, last: Reading, names: Mapping[int, str], seconds: float) -> tuple[Role, ...]:
    """What threads did, by roles, the one with the most CPU first."""
    found: dict[str, list[tuple[Thread | None, Thread]]] = {}
    for pid, process in last.processes.items():
        before = first.processes.get(pid)
        for tid, thread in process.threads.items():
            role = role_of(pid, tid, process, last.processes, name=names.get(tid, thread.name), named=bool(names))
            found.setdefault(role, []).append((before.threads.get(tid) if before else None, thread))
    roles = [_role(name, pairs, seconds) for name, pairs in found.items()]
    return tuple(sorted(roles, key=lambda role: role.cpu, reverse=True))


def role_of(pid: int, tid: int, process: Process, all_of_them: Mapping[int, Process], *, name: str, named: bool) -> str:
    """What the thread `tid` of the `process` does, by its `name`, and by the shape of the processes.

    `named`: whether Python was asked for the names. Before Python 3.14 the kernel has only that of the process.
    """
    if len(process.threads) < _SERVING:
        parent = all_of_them.get(process.parent)
        return DECODING if parent is not None and len(parent.threads) >= _SERVING else "supervisor"
    if tid == pid:
        return LOOP
    if not named and pid in process.threads and name == process.threads[pid].name:
        return NAMELESS
    return _ROLES.get(_NUMBER.sub("", name), UNNAMED)


def _role(name: str, pairs: Sequence[tuple[Thread | None, Thread]], seconds: float) -> Role:
    cpu = [now.cpu - (then.cpu if then else 0.0) for then, now in pairs]
    return Role(
        name=name,
        threads=len(pairs),
        cpu=sum(cpu) / seconds,
        busiest=max(cpu) / seconds,
        waited=sum(now.waited - (then.waited if then else 0.0) for then, now in pairs) / seconds,
        voluntary=sum(now.voluntary - (then.voluntary if then else 0) for then, now in pairs) / seconds,
        involuntary=sum(now.involuntary - (then.involuntary if then else 0) for then, now in pairs) / seconds,
    )
