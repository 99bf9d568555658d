"""Finds the processes of a service on this machine: by the port that it listens on, or by its id, and all below it.

What lives here: which processes. What does not: what they use (`profiling.readings`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.profiling import kernel_texts

_PROC: Final = Path("/proc")
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def listening_on(host: str | None, port: int, *, proc: Path = _PROC) -> int | None:
    """The process that listens on `port`, or the parent of all that do; None if it is elsewhere, or may not be seen."""
    if host not in _LOCAL:
        return None
    wanted = set()
    for name in ("tcp", "tcp6"):
        try:
            wanted |= {f"socket:[{inode}]" for inode in kernel_texts.listener((proc / "net" / name).read_text(), port)}
        except OSError:  # not Linux, or no IPv6
            continue
    holders = {pid for pid in _all(proc) if wanted and not wanted.isdisjoint(_sockets(pid, proc))}
    tops = {pid: parent for pid in holders if (parent := _parent(pid, proc)) not in holders}
    common = set(tops.values())
    if len(tops) > 1 and len(common) == 1:  # worker processes, whose supervisor does not listen itself
        return common.pop()
    return min(tops, default=None)


def tree(pid: int, *, proc: Path = _PROC) -> list[int]:
    """`pid`, and all processes below it. Raises `ConfigurationError` if there is none."""
    parents = {each: _parent(each, proc) for each in _all(proc)}
    if pid not in parents:
        raise ConfigurationError(
            f"there is no process {pid} here; name the service's own with --pid, or leave it out to watch from outside"
        )
    found = [pid]
    for each in found:  # which grows meanwhile
        found += sorted(child for child, parent in parents.items() if parent == each)
    return found


def own() -> list[int]:
    """This process and all below it; none where this is not Linux."""
    return tree(os.getpid()) if _PROC.is_dir() else []


def _all(proc: Path) -> Iterator[int]:
    return (int(path.name) for path in proc.glob("[0-9]*") if path.name.isdigit())


def _parent(pid: int, proc: Path) -> int | None:
    try:
        return kernel_texts.stat((proc / str(pid) / "stat").read_text(errors="replace")).parent
    except OSError:  # it has ended meanwhile
        return None


def _sockets(pid: int, proc: Path) -> Iterator[str]:
    try:
        for link in (proc / str(pid) / "fd").iterdir():
            yield str(link.readlink())
    except OSError:  # it has ended, or is another user's
        return
