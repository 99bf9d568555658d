"""Reads files again when they change: API keys and certificates, which change while the process runs.

The contents are compared, which are small. A mounted secret changes when a link is pointed to another folder, and not
on every file system do times, sizes or inodes show that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from topfive.ground.errors import ConfigurationError

logger = logging.getLogger("topfive")


class FileWatch:
    """Calls `read` when the content of one of `paths` has changed since the last look.

    `read` puts the new contents in force, or raises `ConfigurationError` and changes nothing: then the old ones stay in
    force, and the log says why, once for each change.
    """

    def __init__(self, name: str, paths: Sequence[Path], read: Callable[[], None]) -> None:
        self._name = name
        self._paths = tuple(paths)
        self._read = read
        self._seen = self._contents()

    def look(self) -> None:
        """Compare the contents once; do not call this on the event loop, because it reads files."""
        found = self._contents()
        if found == self._seen:
            return
        try:
            self._read()
        except ConfigurationError as error:
            logger.error("the %s stay as they were: %s", self._name, error)
        else:
            logger.info("the %s have changed, and what they say now is in force", self._name)
        self._seen = found

    def _contents(self) -> list[bytes | str]:
        return [_content(path) for path in self._paths]


def _content(path: Path) -> bytes | str:
    try:
        return path.read_bytes()
    except OSError as error:
        return str(error)  # a missing file is a content like any other: `read` reports it
