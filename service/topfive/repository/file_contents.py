"""What files hold, each read once for every state that the disk shows of it: what tells a version from a later one.

Times and inodes alone do not tell: `git checkout`, `touch` and rsync move times, object stores and FUSE move inodes,
and the file is the same. So contents are compared, and the disk's numbers only say when to look at them again.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

_Seen = tuple[int, int, int, int]
"""Size, time of change, time of the entry's change, inode."""


class Contents:
    """Digests of files, remembered by path while what `stat` says of them stays the same."""

    def __init__(self) -> None:
        self._now: dict[str, tuple[_Seen, bytes]] = {}
        self._before: dict[str, tuple[_Seen, bytes]] = {}

    def turn(self) -> None:
        """Forget what has not been asked for since the last turn, so that no file that has gone is remembered."""
        self._before, self._now = self._now, {}

    def digest(self, path: Path, status: os.stat_result) -> bytes:
        """The digest of the file at `path`, which is as `status` says; raises `OSError`."""
        name = os.fspath(path)
        seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        known = self._now.get(name) or self._before.get(name)
        if known is None or known[0] != seen:
            with path.open("rb") as file:
                known = (seen, hashlib.file_digest(file, "sha256").digest())
        self._now[name] = known
        return known[1]
