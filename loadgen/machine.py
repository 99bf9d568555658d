"""What a reader must know of a machine and of what runs on it before comparing two results."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path


def cpu() -> str:
    """Its name: Linux says it in a file, others by `platform`."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of these packages, as they are installed."""
    return {package: version(package) for package in packages}


def digests(graphs: Iterable[Path]) -> dict[str, str]:
    """SHA-256 of each graph of a model repository, by its model."""
    return {path.parts[-3]: hashlib.sha256(path.read_bytes()).hexdigest() for path in graphs}
