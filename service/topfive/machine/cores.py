"""Finds how many cores this process may use: those of the affinity mask, cut by the quotas of its control groups."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from topfive.machine.control_groups import folders_of

logger = logging.getLogger("topfive")

_ROOT: Final = Path("/")


def usable_cores(wanted: int = 0, *, root: Path = _ROOT) -> int:
    """The cores to use, at least 1. A quota is rounded up, because a part of a core would else stay idle.

    `wanted` overrides all, unless it is 0; a warning is logged if the system allows less. `root` is the folder that
    `proc` and the mounts are in.
    """
    allowed = max(1, math.ceil(core_limit(root=root)))
    if wanted > allowed:
        logger.warning(
            "cores is %d, but this process may use %d (affinity and CPU quota): its threads will wait for each other",
            wanted,
            allowed,
        )
    return wanted or allowed


def share_of_cores(cores: int, processes: int) -> int:
    """How many of `cores` each of `processes` processes takes, at least 1."""
    return max(1, cores // processes)


def core_limit(*, root: Path = _ROOT) -> float:
    """The most processor time that this process may use, in seconds per second; `root` as in `usable_cores`."""
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min([present, *_quotas(root)])


def _quotas(root: Path) -> Iterator[float]:
    """Every quota that holds for this process, in cores."""
    for version, folder in folders_of("cpu", root):
        quota = _read(folder, version)
        if quota is not None:
            yield quota


def _read(folder: Path, version: int) -> float | None:
    """The quota of one group in cores, None if it has none."""
    try:
        if version == 2:
            words = (folder / "cpu.max").read_text(encoding="ascii").split()
        else:
            words = [
                (folder / f"cpu.cfs_{name}_us").read_text(encoding="ascii").strip() for name in ("quota", "period")
            ]
        if words[0] in ("max", "-1"):
            return None
        return int(words[0]) / int(words[1])
    except FileNotFoundError:
        return None  # the root group has no such file, nor has a group whose parent does not enable the controller
    except (OSError, ValueError, IndexError, ZeroDivisionError) as error:
        logger.warning(
            "the CPU quota in %s cannot be read, and is left out: %r; the setting cores is above it", folder, error
        )
        return None
