"""What a reader must know before comparing two runs: the machine, the programs, the graphs, the settings."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Final

import psutil

from loadtests import target
from loadtests.target import Target

_PACKAGES: Final = ("locust", "gevent", "numpy", "onnxruntime", "pillow")
_ROOT: Final = Path(__file__).resolve().parent.parent
_SHORT: Final = 16


def describe(
    of: Target, graphs: Iterable[Path], *, settings: Mapping[str, str]
) -> dict[str, str | int | float | Mapping[str, str] | None]:
    """All of it. The machine and the graphs are those of the generator: the server may be elsewhere."""
    return {
        "server": f"{of.name} {of.version}",
        "model": of.model,
        "cpu": _cpu(),
        "cores": len(psutil.Process().cpu_affinity() or [])
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "packages": {package: version(package) for package in _PACKAGES},
        "graphs (sha256)": {path.parts[-3]: _digest(path) for path in graphs},
        "settings of the run": dict(settings),
        "settings of the server": target.settings(of),
    }


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:_SHORT]


def _cpu() -> str:
    """Linux says the name in a file, others by `platform`."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _commit() -> str | None:
    """Of this checkout, with a + if it was changed since; None where there is none, as in a container."""
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],  # noqa: S607
            cwd=_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return told.stdout.strip()
