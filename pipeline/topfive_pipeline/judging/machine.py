"""The machine that models are judged on: what a reader must know of it, and how much memory it has left."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from topfive import __version__
from topfive.backends.onnx_runtime import runtime
from topfive.machine.cores import usable_cores

_CPUS: Final = Path("/proc/cpuinfo")
_MEMORY: Final = Path("/proc/meminfo")
_GROUP: Final = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """What answers and times depend on beside the model: processor, its cores that may be used, versions."""

    cpu: str
    cores: int
    onnxruntime: str
    topfive: str
    openvino: str = ""
    """Its version; empty if it is not installed."""


def this_machine(*, cores: int = 0) -> Machine:
    """This machine; `cores` to use, 0 for all that this process may use."""
    return Machine(_cpu(), usable_cores(cores), str(runtime().__version__), __version__, _version("openvino"))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def memory_left(*, memory: Path = _MEMORY, group: Path = _GROUP) -> int | None:
    """Bytes that this process can still take, by the kernel and by the limit of its container; None if nobody says.

    `memory` and `group` are where Linux tells it.
    """
    left = []
    try:
        lines = dict(line.split(":", 1) for line in memory.read_text(encoding="ascii").splitlines())
        left.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, ValueError, KeyError, IndexError):
        pass
    try:
        most, taken = ((group / f"memory.{name}").read_text(encoding="ascii").strip() for name in ("max", "current"))
        left.append(int(most) - int(taken))
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        pass
    return min(left, default=None)


def _cpu() -> str:
    try:
        lines = _CPUS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
