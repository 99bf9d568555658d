"""Logs the entries that are left out of the repository, each once, however often the repository is read."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from topfive.repository.entries import LeftOut, shown

logger = logging.getLogger("topfive")

_MAX_LINES: Final = 100
"""The most entries that are logged one by one."""


class Leftovers:
    """The entries that the current reading of the repository left out, and those that were logged before."""

    def __init__(self) -> None:
        self._found: dict[Path, LeftOut] = {}
        self._told: dict[Path, LeftOut] = {}

    def begin(self) -> None:
        """A new reading begins."""
        self._found = {}

    def add(self, path: Path, why: LeftOut) -> None:
        """The entry at `path` is left out."""
        self._found[path] = why

    def tell(self, *, everywhere: bool) -> None:
        """Log the entries that were not logged yet. `everywhere`: all was read, so entries not found now are gone."""
        new = [(path, why) for path, why in self._found.items() if self._told.get(path) != why]
        for path, why in new[:_MAX_LINES]:
            logger.log(logging.WARNING if why.suspect else logging.INFO, "left out: '%s': %s", shown(path), why.reason)
        if len(new) > _MAX_LINES:
            logger.warning("left out of the model repository are %d entries more", len(new) - _MAX_LINES)
        self._told = self._found if everywhere else self._told | self._found

    def suspects(self) -> list[str]:
        """Texts about the entries that an operator may have meant to be found: which, and why they are left out."""
        return [f"'{shown(path)}': {why.reason}" for path, why in self._found.items() if why.suspect]
