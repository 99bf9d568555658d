"""Finds how many cores this process may use: those of the affinity mask, reduced by the quotas of its control groups.

A quota is in the folder of its group, which may be anywhere: a container sees its own group as the root, or with its
whole path; systemd's `CPUQuota` is in a slice or a service below the root; and the quotas of all groups above hold too.
So the kernel is asked for the process' group (`/proc/self/cgroup`) and the mounts (`/proc/self/mountinfo`), and each
folder from the group up to the mount is read, for version 2 and version 1 of control groups.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

logger = logging.getLogger("topfive")

_ROOT: Final = Path("/")
_MEMBERSHIP: Final = "proc/self/cgroup"
_MOUNTS: Final = "proc/self/mountinfo"
_DELETED: Final = " (deleted)"
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class _Mount:
    """A mounted hierarchy of control groups; the folder `point` shows its group `root`."""

    root: str
    point: str
    version: int


def usable_cores(wanted: int = 0, *, root: Path = _ROOT) -> int:
    """The cores to use, at least 1. A quota is rounded up, because a part of a core would else stay idle.

    `wanted` overrides all, unless it is 0; a warning is logged if the system allows less. `root` is the folder that
    `proc` and the mounts are in.
    """
    allowed = _allowed_cores(root)
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


def _allowed_cores(root: Path) -> int:
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = min(_quotas(root), default=math.inf)
    return present if quota == math.inf else max(1, min(present, math.ceil(quota)))


def _quotas(root: Path) -> Iterator[float]:
    """Every quota that holds for this process, in cores."""
    try:
        groups = dict(_groups((root / _MEMBERSHIP).read_text(encoding="utf-8", errors="surrogateescape")))
        mounts = list(_mounts((root / _MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")))
    except OSError:
        return  # this is not Linux, or /proc is not mounted: no quota can be found
    for version, group in groups.items():
        for folder in _folders(group, [mount for mount in mounts if mount.version == version]):
            quota = _read(root / folder.lstrip("/"), version)
            if quota is not None:
                yield quota


def _groups(text: str) -> Iterator[tuple[int, str]]:
    """The process' group in version 2, and in the hierarchy of version 1 that has the `cpu` controller."""
    for line in text.splitlines():
        number, controllers, group = line.split(":", 2)
        if number == "0":
            yield 2, group.removesuffix(_DELETED)
        elif "cpu" in controllers.split(","):
            yield 1, group.removesuffix(_DELETED)


def _mounts(text: str) -> Iterator[_Mount]:
    """The mounts of version 2, and of version 1 with the `cpu` controller."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        root, point = (_OCTAL.sub(lambda found: chr(int(found[1], 8)), word) for word in before.split(" ")[3:5])
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            yield _Mount(root, point, 2)
        elif kind == "cgroup" and "cpu" in options.split(","):
            yield _Mount(root, point, 1)


def _folders(group: str, mounts: Iterable[_Mount]) -> Iterator[str]:
    """The folders of `group` and of the groups above it, as far as they are mounted.

    If no mount shows `group`, because their roots are outside of this process' namespace, the top folder of each mount
    is taken: they were made for this process.
    """
    inside = {mount.point: below for mount in mounts if (below := _below(group, mount.root)) is not None}
    for point, below in (inside or dict.fromkeys((mount.point for mount in mounts), PurePosixPath())).items():
        yield point
        for part in (below, *below.parents):
            if part.parts:
                yield f"{point}/{part}"


def _below(group: str, root: str) -> PurePosixPath | None:
    """The path from the group `root` down to `group`, None if `group` is not below `root`."""
    if ".." in PurePosixPath(group).parts or ".." in PurePosixPath(root).parts:
        return None
    try:
        return PurePosixPath(group).relative_to(root)
    except ValueError:
        return None


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
