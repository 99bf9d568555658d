"""Finds the control groups of this process, whose limits hold for it.

A limit is in the folder of its group, which may be anywhere: a container sees its own group as the root, or with its
whole path; systemd's limits are in a slice or a service below the root; and the limits of all groups above hold too. So
the kernel is asked for the process' group (`/proc/self/cgroup`) and the mounts (`/proc/self/mountinfo`), for version 2
and version 1 of control groups. What does not live here: what the files in the folders say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

_MEMBERSHIP: Final = "proc/{process}/cgroup"
_MOUNTS: Final = "proc/self/mountinfo"
_DELETED: Final = " (deleted)"
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class _Mount:
    """A mounted hierarchy of control groups; the folder `point` shows its group `root`."""

    root: str
    point: str
    version: int


def folders_of(controller: str, root: Path, *, process: str = "self") -> Iterator[tuple[int, Path]]:
    """The version and the folder of each group whose limits of `controller` (as `cpu`) hold for this process.

    Or for another `process`, by its id, as this one sees the mounts. `root` is the folder that `proc` and the mounts
    are in. None where this is not Linux, or /proc is not mounted.
    """
    try:
        membership = (root / _MEMBERSHIP.format(process=process)).read_text(encoding="utf-8", errors="surrogateescape")
        mounted = (root / _MOUNTS).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return
    mounts = list(_mounts(mounted, controller))
    for version, group in dict(_groups(membership, controller)).items():
        for folder in _folders(group, [mount for mount in mounts if mount.version == version]):
            yield version, root / folder.lstrip("/")


def _groups(text: str, controller: str) -> Iterator[tuple[int, str]]:
    """The process' group in version 2, and in the hierarchy of version 1 that has the controller."""
    for line in text.splitlines():
        number, controllers, group = line.split(":", 2)
        if number == "0":
            yield 2, group.removesuffix(_DELETED)
        elif controller in controllers.split(","):
            yield 1, group.removesuffix(_DELETED)


def _mounts(text: str, controller: str) -> Iterator[_Mount]:
    """The mounts of version 2, and of version 1 with the controller."""
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        root, point = (_OCTAL.sub(lambda found: chr(int(found[1], 8)), word) for word in before.split(" ")[3:5])
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2":
            yield _Mount(root, point, 2)
        elif kind == "cgroup" and controller in options.split(","):
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
