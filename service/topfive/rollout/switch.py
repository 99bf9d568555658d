"""Whether the canary is off, and why: known to all worker processes by a file in their shared folder.

What lives here: that file. What does not: when it is turned (`rollout.canary`). A file that is there means off, and
holds the reason; the folder, and the file with it, goes with the service, so a restart turns the canary on again.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

logger = logging.getLogger("topfive")

_NAME: Final = "canary-off"


class Switch:
    """On, unless turned off; `folder`: what the worker processes share, None if there is only one process."""

    def __init__(self, folder: Path | None) -> None:
        self._file = None if folder is None else folder / _NAME
        self._only_here = False
        self.reason: str | None = None
        """Why it is off, as of the last `look` or turn; None if it is on."""

    def look(self) -> None:
        """Take over what another process has turned."""
        if self._file is None or self._only_here:
            return
        try:
            self.reason = self._file.read_text(encoding="utf-8")
        except FileNotFoundError:
            self.reason = None

    def turn_off(self, reason: str) -> None:
        """Turn it off, for all worker processes; where the disk has no room, at least for this one."""
        self.reason = reason
        if self._file is None:
            return
        new = self._file.with_suffix(f".{os.getpid()}")  # another process may do the same now
        try:
            new.write_text(reason, encoding="utf-8")
            new.replace(self._file)
        except OSError as error:
            self._only_here = True
            logger.error("the other worker processes are not told that the canary is off: %s", error)

    def turn_on(self) -> None:
        """Turn it on, for all worker processes."""
        self.reason = None
        self._only_here = False
        if self._file is not None:
            self._file.unlink(missing_ok=True)
