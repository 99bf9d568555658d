"""Locks on folders, for imports into one repository at the same time; the system releases them when a process ends.

A file system without locks, as some networks' are, has none; then nothing is kept apart.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` meanwhile; waits for it."""
    with _opened(folder) as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_in_use(folder: Path) -> bool:
    """Whether somebody holds the lock of `folder`."""
    try:
        with _opened(folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield file
    finally:
        os.close(file)
