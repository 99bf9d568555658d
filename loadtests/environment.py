"""Describes the environment of a run, for comparisons: the machine, the programs, the graphs, the settings."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import psutil

from loadtests import target
from loadtests.target import Target
from topfive_loadgen.machine import cpu, digests, versions

_PACKAGES: Final = ("locust", "gevent", "numpy", "onnxruntime", "pillow")
_ROOT: Final = Path(__file__).resolve().parent.parent
_SHORT: Final = 16


def describe(
    of: Target, graphs: Iterable[Path], *, settings: Mapping[str, str]
) -> dict[str, str | int | float | Mapping[str, str] | None]:
    """The whole environment. Machine and graphs are those of the generator: the server may be elsewhere."""
    return {
        "server": f"{of.name} {of.version}",
        "model": of.model,
        "cpu": cpu(),
        "cores": len(psutil.Process().cpu_affinity() or [])
        if hasattr(psutil.Process, "cpu_affinity")
        else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "packages": versions(_PACKAGES),
        "graphs (sha256)": {model: digest[:_SHORT] for model, digest in digests(graphs).items()},
        "settings of the run": dict(settings),
        "settings of the server": target.settings(of),
    }


def _commit() -> str | None:
    """The commit of this checkout, with a + if files were changed since; None outside a checkout."""
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
