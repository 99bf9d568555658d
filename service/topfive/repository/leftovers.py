"""What is left out of the repository is told to the log, each once, however often it is looked at."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from topfive.repository.entries import LeftOut, shown

logger = logging.getLogger("topfive")

_MAX_LINES: Final = 100
"""Entries that are told of one by one."""


class Leftovers:
    """What was left out in a look at the repository, and what has been told of it."""

    def __init__(self) -> None:
        self._found: dict[Path, LeftOut] = {}
        self._told: dict[Path, LeftOut] = {}

    def begin(self) -> None:
        """Look anew."""
        self._found = {}

    def add(self, path: Path, why: LeftOut) -> None:
        """Leave out what lies at `path`."""
        self._found[path] = why

    def tell(self, *, everywhere: bool) -> None:
        """Log what has not been told; `everywhere`: what was not found this time lies there no more."""
        new = [(path, why) for path, why in self._found.items() if self._told.get(path) != why]
        for path, why in new[:_MAX_LINES]:
            logger.log(logging.WARNING if why.suspect else logging.INFO, "left out: '%s': %s", shown(path), why.reason)
        if len(new) > _MAX_LINES:
            logger.warning("left out of the model repository are %d entries more", len(new) - _MAX_LINES)
        self._told = self._found if everywhere else self._told | self._found

    def suspects(self) -> list[str]:
        """What somebody may have meant to be found, and why it is not."""
        return [f"'{shown(path)}': {why.reason}" for path, why in self._found.items() if why.suspect]
