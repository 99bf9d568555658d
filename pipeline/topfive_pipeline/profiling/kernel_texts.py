"""Reads the texts in which Linux tells what processes, control groups and the machine have used. Pure.

What lives here: one function for each text. What does not: where the texts lie (`profiling.readings`), and differences
(`profiling.usage`). The formats are those of proc(5), of the kernel's Documentation/accounting/psi.rst and
Documentation/admin-guide/cgroup-v2.rst. Texts of another form raise `ValueError`, `KeyError` or `IndexError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_MICRO: Final = 1e-6
_NANO: Final = 1e-9
_KIB: Final = 1024
_NODE: Final = re.compile(r"N(\d+)=(\d+)")
_PAGE: Final = re.compile(r"kernelpagesize_kB=(\d+)")
_LISTENS: Final = "0A"
"""TCP_LISTEN, in hexadecimal, as /proc/net/tcp has it."""


@dataclass(frozen=True, slots=True)
class Stat:
    """Of a process or a thread: its parent, its name, its faults that needed a disk, ticks of CPU time."""

    parent: int
    name: str
    major_faults: int
    ticks: int


def stat(text: str) -> Stat:
    """`/proc/PID/stat` or `/proc/PID/task/TID/stat`; the name, in parentheses, may hold anything."""
    name, _, rest = text[text.index("(") + 1 :].rpartition(")")
    fields = rest.split()  # from the third on: state, ppid, …
    return Stat(int(fields[1]), name, int(fields[9]), int(fields[11]) + int(fields[12]))


def schedstat(text: str) -> tuple[float, float]:
    """`/proc/PID/task/TID/schedstat`: seconds on a CPU, and seconds ready to run without one."""
    ran, waited, _ = text.split()
    return int(ran) * _NANO, int(waited) * _NANO


def switches(text: str) -> tuple[int, int]:
    """Of `status`: how often the thread gave its CPU up by itself, and how often it was taken from it."""
    found = pairs(text)
    return int(found["voluntary_ctxt_switches"]), int(found["nonvoluntary_ctxt_switches"])


def pairs(text: str) -> dict[str, str]:
    """Lines `name: value` or `name value`, as in `status`, `io`, `cpu.stat`, `memory.events` and `vmstat`."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":" if ":" in line else " ")
        found[name.strip()] = value.strip()
    return found


def memory_of(text: str) -> dict[str, int]:
    """`smaps_rollup`: bytes by name (`Rss`, `Pss`, `Swap`)."""
    return {
        name: int(value.split()[0]) * _KIB
        for name, value in pairs(text).items()
        if value.endswith("kB") and value[0] != "-"
    }


def by_node(text: str) -> dict[int, int]:
    """`numa_maps`: bytes on each memory node."""
    found: dict[int, int] = {}
    for line in text.splitlines():
        page = _PAGE.search(line)
        for node, pages in _NODE.findall(line):
            found[int(node)] = found.get(int(node), 0) + int(pages) * (int(page[1]) if page else 4) * _KIB
    return found


@dataclass(frozen=True, slots=True)
class Ticks:
    """Ticks of all CPUs together since the machine's start. `busy` is all but idle, waits for disks and `steal`."""

    busy: int
    waits: int
    steal: int


def machine_ticks(text: str) -> Ticks:
    """The first line of `/proc/stat`."""
    user, nice, system, _, waits, irq, soft_irq, steal, *_ = (int(word) for word in text.split("\n", 1)[0].split()[1:])
    return Ticks(user + nice + system + irq + soft_irq, waits, steal)


def pressure(text: str) -> float:
    """`/proc/pressure/*` and `*.pressure`: seconds in which at least one task stood still for want of the resource."""
    some = next(line for line in text.splitlines() if line.startswith("some "))
    return int(some.rpartition("total=")[2]) * _MICRO


@dataclass(frozen=True, slots=True)
class Throttling:
    """Of a CPU quota: periods in which the group ran, those in which it was held back, and for how many seconds."""

    periods: int
    throttled: int
    seconds: float


def throttling(text: str) -> Throttling:
    """`cpu.stat` of either version of control groups."""
    found = pairs(text)
    nanoseconds = found.get("throttled_time")
    seconds = int(found["throttled_usec"]) * _MICRO if nanoseconds is None else int(nanoseconds) * _NANO
    return Throttling(int(found["nr_periods"]), int(found["nr_throttled"]), seconds)


def megahertz(text: str) -> list[float]:
    """`/proc/cpuinfo`: the clock of each CPU; none where the kernel does not tell."""
    return [float(line.partition(":")[2]) for line in text.splitlines() if line.startswith("cpu MHz")]


def listener(text: str, port: int) -> Iterator[int]:
    """`/proc/net/tcp` or `tcp6`: the inodes of the sockets that listen on `port`."""
    for line in text.splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
            yield int(fields[9])


def swapped(text: str) -> int:
    """`/proc/vmstat`: pages that were read from swap."""
    return int(pairs(text)["pswpin"])
