"""Digests of files' contents, which tell whether a version changed.

Times and inodes alone cannot tell: `git checkout`, `touch` and rsync change times, object stores and FUSE change
inodes, although the file is the same. So contents are compared; a file is only read again if these numbers changed.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_Seen = tuple[int, int, int, int]
"""Size, modification time, change time of the inode, and inode."""


class Contents:
    """Digests of files, kept by path as long as `stat` shows the same numbers."""

    def __init__(self) -> None:
        self._now: dict[str, tuple[_Seen, bytes]] = {}
        self._before: dict[str, tuple[_Seen, bytes]] = {}

    def turn(self) -> None:
        """Forget the files that were not asked for since the last turn, so that deleted files are not kept for ever."""
        self._before, self._now = self._now, {}

    def digest(self, path: Path, status: os.stat_result) -> bytes:
        """The digest of the file at `path`, whose present `stat` is `status`; raises `OSError`."""
        name = os.fspath(path)
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = self._now.get(name) or self._before.get(name)
        if known is None or known[0] != seen:
            with path.open("rb") as file:
                known = (seen, hashlib.file_digest(file, "sha256").digest())
        self._now[name] = known
        return known[1]
