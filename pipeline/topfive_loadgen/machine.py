"""Describes the machine and its software in a report, so that two results can be compared."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path


def cpu() -> str:
    """The processor's name: from a file on Linux, from `platform` elsewhere."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def versions(packages: Iterable[str]) -> dict[str, str]:
    """The installed versions of these packages."""
    return {package: version(package) for package in packages}


def digests(graphs: Iterable[Path]) -> dict[str, str]:
    """The SHA-256 of each graph of a model repository, by its model."""
    return {path.parts[-3]: hashlib.sha256(path.read_bytes()).hexdigest() for path in graphs}
