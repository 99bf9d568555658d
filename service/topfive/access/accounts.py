"""Where it is kept what a tenant has spent: in memory, or in a small file that the worker processes share.

What lives here: one account a tenant, read, changed and written under a lock. What does not: what is spent
(`access.spending`).

A file holds the last state as 32 bytes, in place. The kernel gives its lock back when a process ends, however it ends.
If a file cannot be read or written any more, the account goes on in memory, each process for itself, and the log says
so once: a full disk must not refuse requests, nor let in all of them.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from topfive.access.spending import Spent
from topfive.ground.errors import ConfigurationError

logger = logging.getLogger("topfive")

_FORM: Final = struct.Struct("<ddqq")


class Account:
    """The account of one tenant; in `file`, or in memory if that is None. Raises `ConfigurationError` for a bad file.

    What is in the file when it is opened still counts.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._spent = Spent()
        self._file: int | None = None
        if file is None:
            return
        try:
            self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            self._spent = self._read(self._file)
            self._write(self._file)  # takes the room on the disk now, and not when the first image comes
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        except OSError as error:
            raise ConfigurationError(f"what a tenant has spent cannot be kept in '{file}': {error}") from error

    @property
    def last(self) -> Spent:
        """What had been spent when this process looked last: other processes may have changed it since."""
        return self._spent

    def look(self) -> Spent:
        """What was spent until now."""
        return self.change(lambda spent: spent)

    def change(self, change: Callable[[Spent], Spent]) -> Spent:
        """Replace what was spent by what `change` makes of it, and return that; if `change` raises, nothing changes."""
        file = self._file
        if file is None:
            self._spent = change(self._spent)
            return self._spent
        try:
            fcntl.lockf(file, fcntl.LOCK_EX)
            try:
                before = self._spent = self._read(file)
                self._spent = change(before)
                if self._spent is not before:
                    self._write(file)
            finally:
                fcntl.lockf(file, fcntl.LOCK_UN)
        except OSError as error:
            logger.error("what a tenant spends is counted in each process for itself from now on: %s", error)
            self._file = None
            os.close(file)
            return self.change(change)
        return self._spent

    @staticmethod
    def _read(file: int) -> Spent:
        kept = os.pread(file, _FORM.size, 0)
        return Spent(*_FORM.unpack(kept)) if len(kept) == _FORM.size else Spent()

    def _write(self, file: int) -> None:
        spent = self._spent
        os.pwrite(file, _FORM.pack(spent.tokens, spent.at, spent.window, spent.used), 0)
