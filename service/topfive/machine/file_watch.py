"""Files that are read again when they change: API keys and certificates, which live shorter than a process.

What is compared is their content: a mounted secret changes by a link that is turned to another folder, and times, sizes
and inodes tell of that on one file system and not on another. The files are small.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from topfive.ground.errors import ConfigurationError

logger = logging.getLogger("topfive")


class FileWatch:
    """Calls `read` when one of `paths` holds something else than when it was last looked at.

    `read` puts in force what they hold now, or raises `ConfigurationError` and changes nothing: then what was in force
    stays, and the log says why, once for each change.
    """

    def __init__(self, name: str, paths: Sequence[Path], read: Callable[[], None]) -> None:
        self._name = name
        self._paths = tuple(paths)
        self._read = read
        self._seen = self._contents()

    def look(self) -> None:
        """Look once; it reads files, and so is not for the event loop."""
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
        return str(error)  # a state like any other: `read` says what it means
