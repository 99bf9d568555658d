"""One look at what a service's processes, their control groups and the machine have used so far.

What lives here: where Linux tells it, and what is left out where it does not. What does not: the texts' formats
(`profiling.kernel_texts`), and what was used between two looks (`profiling.usage`).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from topfive.machine.control_groups import folders_of
from topfive_pipeline.profiling import kernel_texts
from topfive_pipeline.profiling.kernel_texts import Throttling

ROOT: Final = Path("/")
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Thread:
    """What a thread has used: seconds on a CPU and ready without one, and its context switches."""

    name: str
    cpu: float
    waited: float
    voluntary: int
    involuntary: int


@dataclass(frozen=True, slots=True)
class Process:
    """What a process has used. `io`: bytes read from and written to disks; `memory`: bytes by name, as Linux has it."""

    parent: int
    cpu: float
    major_faults: int
    threads: Mapping[int, Thread]
    io: tuple[int, int] | None
    memory: Mapping[str, int] | None
    nodes: Mapping[int, int] | None


@dataclass(frozen=True, slots=True)
class Machine:
    """Seconds of all CPUs together; `pressure` by resource; pages from swap; the clock of each CPU in MHz."""

    cpus: int
    busy: float
    waits: float
    steal: float
    pressure: Mapping[str, float]
    swapped: int | None
    megahertz: Sequence[float]
    nodes: int


@dataclass(frozen=True, slots=True)
class Group:
    """Of the control groups above the service: what their limits cost it. Empty where there are none."""

    throttling: Throttling | None = None
    events: Mapping[str, int] = field(default_factory=dict)
    pressure: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """One look, at `at` seconds (`time.monotonic`). `machine` is None where this is not Linux.

    `others`: names and CPU seconds of all processes that are not looked at.
    """

    at: float
    processes: Mapping[int, Process]
    machine: Machine | None
    group: Group
    others: Mapping[int, tuple[str, float]] = field(default_factory=dict)


def read(pids: Sequence[int], *, root: Path = ROOT) -> Reading:
    """Look at the processes `pids` and at the machine; `root` is the folder that `proc` and `sys` are in."""
    found = {pid: process for pid in pids if (process := _told(_process, pid, root)) is not None}
    group = _group(pids[0], root) if pids else Group()
    return Reading(time.monotonic(), found, _told(_machine, root), group, dict(_others(pids, root)))


def _told(look: Callable[..., T], *arguments: object) -> T | None:
    """What `look` finds; None if a file is not there, may not be read, or tells nothing that is known."""
    try:
        return look(*arguments)
    except (OSError, ValueError, KeyError, IndexError, StopIteration):
        return None


def _others(pids: Sequence[int], root: Path) -> Iterator[tuple[int, tuple[str, float]]]:
    for folder in (root / "proc").glob("[0-9]*"):
        own = None if int(folder.name) in pids else _told(_parsed, kernel_texts.stat, folder / "stat")
        if own is not None:
            yield int(folder.name), (own.name, own.ticks * _TICK)


def _process(pid: int, root: Path) -> Process:
    folder = root / "proc" / str(pid)
    own = kernel_texts.stat(_text(folder / "stat"))
    threads = {
        int(task.name): thread for task in (folder / "task").iterdir() if (thread := _told(_thread, task)) is not None
    }
    return Process(
        parent=own.parent,
        cpu=own.ticks * _TICK,
        major_faults=own.major_faults,
        threads=threads,
        io=_told(_io, folder / "io"),
        memory=_told(_parsed, kernel_texts.memory_of, folder / "smaps_rollup"),
        nodes=_told(_parsed, kernel_texts.by_node, folder / "numa_maps") if _nodes(root) > 1 else None,
    )


def _thread(folder: Path) -> Thread:
    own = kernel_texts.stat(_text(folder / "stat"))
    ran, waited = _told(_parsed, kernel_texts.schedstat, folder / "schedstat") or (own.ticks * _TICK, 0.0)
    return Thread(own.name, ran, waited, *kernel_texts.switches(_text(folder / "status")))


def _io(path: Path) -> tuple[int, int]:
    found = kernel_texts.pairs(_text(path))
    return int(found["read_bytes"]), int(found["write_bytes"])


def _machine(root: Path) -> Machine:
    proc = root / "proc"
    text = _text(proc / "stat")
    ticks = kernel_texts.machine_ticks(text)
    return Machine(
        cpus=sum(line.startswith("cpu") for line in text.splitlines()) - 1,
        busy=ticks.busy * _TICK,
        waits=ticks.waits * _TICK,
        steal=ticks.steal * _TICK,
        pressure=dict(_pressure((name, proc / "pressure" / name) for name in ("cpu", "memory", "io"))),
        swapped=_told(_parsed, kernel_texts.swapped, proc / "vmstat"),
        megahertz=_told(_parsed, kernel_texts.megahertz, proc / "cpuinfo") or (),
        nodes=_nodes(root),
    )


def _pressure(files: Iterator[tuple[str, Path]]) -> Iterator[tuple[str, float]]:
    for name, path in files:
        seconds = _told(_parsed, kernel_texts.pressure, path)
        if seconds is not None:
            yield name, seconds


def _nodes(root: Path) -> int:
    return max(1, sum(1 for _ in (root / "sys/devices/system/node").glob("node[0-9]*")))


def _group(pid: int, root: Path) -> Group:
    """Of the groups above the process the one that was held back most, and the events and pressure of the nearest."""
    quotas = [
        found
        for _, folder in folders_of("cpu", root, process=str(pid))
        if (found := _told(_parsed, kernel_texts.throttling, folder / "cpu.stat")) is not None
    ]
    events: dict[str, int] = {}
    pressure: dict[str, float] = {}
    for _, folder in folders_of("memory", root, process=str(pid)):
        text = _told(_text, folder / "memory.events")
        for name, value in kernel_texts.pairs(text or "").items():
            events[name] = max(events.get(name, 0), int(value))
        for name, seconds in _pressure((name, folder / f"{name}.pressure") for name in ("cpu", "memory", "io")):
            pressure.setdefault(name, seconds)
    return Group(max(quotas, key=lambda each: each.throttled, default=None), events, pressure)


def _parsed(parser: Callable[[str], T], path: Path) -> T:
    return parser(_text(path))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
