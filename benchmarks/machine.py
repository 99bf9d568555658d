"""Figures of processes and of the machine from the kernel. Linux only (/proc)."""

import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path

from topfive_loadgen.machine import cpu, digests, versions

PACKAGES = ("onnxruntime", "numpy", "pillow", "fastapi", "uvicorn")


def family(pid: int) -> list[int]:
    """The process and all its living descendants."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in _said_of(pid, str(task.relative_to(f"/proc/{pid}"))).split()]
    return [pid, *(member for child in children for member in family(child))]


def decoders(pids: Iterable[int]) -> list[int]:
    """The processes among `pids` that decode for a service; they start on demand, and may end."""
    return [pid for pid in pids if b"topfive.request.preparing.child" in _said_of(pid, "cmdline")]


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of the processes and all their threads, to the nanosecond (clock_getcpuclockid(3)).

    The figures in /proc/PID/stat come in ticks of 10 ms, which is more than one image takes.
    """
    return sum(time.clock_gettime((~pid << 3) | 2) for pid in pids)


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of the processes; shared memory counts once for each process."""
    pages = (int(said.split()[1]) for pid in pids if (said := _said_of(pid, "statm")))
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def _said_of(pid: int, what: str) -> bytes:
    """A file of a process in /proc; empty if the process has just ended."""
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def open_files(pids: Iterable[int]) -> int:
    """Open file descriptors of the processes."""
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


def threads(pids: Iterable[int]) -> int:
    """Threads of the processes."""
    return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in pids)


def busy_seconds() -> float:
    """Busy CPU time since boot: of all processes, of the kernel, and time stolen by the hypervisor."""
    with Path("/proc/stat").open() as stat:
        user, nice, system, _idle, _iowait, *others = map(int, stat.readline().split()[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")


def environment(graphs: Iterable[Path]) -> dict[str, object]:
    """The environment of a result, for comparisons with other results."""
    return {
        "cpu": cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
        **versions(PACKAGES),
        "sha256": digests(graphs),
    }
