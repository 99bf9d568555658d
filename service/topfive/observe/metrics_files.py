"""The files in which worker processes keep their metrics; a file is only mapped if the disk has room for all of it.

The client library extends a file without writing to it, and maps it. If the disk, or the tmpfs, is full when such a
page is first written, the kernel ends the process with SIGBUS. So here the new part of a file is written before it is
mapped. A file that cannot grow keeps its values; new values are counted in memory, where no other process sees them.

The counts of all processes that have ended are added up in one file, so the folder stays small, however many end.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

from topfive.ground.errors import ConfigurationError

logger = logging.getLogger("topfive")

_FIRST_BYTES: Final = 1 << 16
"""The size of a new file, as in the library."""
_FRAME_BYTES: Final = 32
"""The most that an entry takes beside its key: lengths, padding, value, time."""
_COUNTING: Final = ("counter", "histogram")
"""The library's names for the files of values that only grow."""
_DEAD: Final = 0
"""Stands for a process id in the names of the files of ended processes; no process has this id."""
_WORKER_BYTES: Final = 1 << 19
"""The size of all files of one worker process, with half a dozen models."""


@contextlib.contextmanager
def metrics_folder(named: str | None, *, workers: int) -> Iterator[str]:
    """A temporary folder with room for the files of so many `workers`, in the folder `named`, or in the system's.

    Raises `ConfigurationError` if there is no such room.
    """
    needed = workers * _WORKER_BYTES
    with contextlib.ExitStack() as stack:
        try:
            made = tempfile.TemporaryDirectory(prefix="topfive-metrics-", dir=named, ignore_cleanup_errors=True)
            folder = stack.enter_context(made)
            probe = Path(folder) / "room"
            with probe.open("xb", buffering=0) as file:
                _lengthen(file.fileno(), needed)
            probe.unlink()
        except OSError as error:
            raise ConfigurationError(
                f"{workers} workers keep their metrics in files of {needed >> 10} KiB in a temporary folder, which "
                f"cannot be had: {error}; set TMPDIR to a folder that can be written to and has that much room, or "
                "serve with workers 1"
            ) from error
        yield folder


def keep_room() -> None:
    """Make the library keep this process' values in files that have their room before they are mapped."""
    values.MmapedDict = RoomyDict  # type: ignore[attr-defined]  # it has no other way to choose


class RoomyDict(MmapedDict):
    """The library's dictionary in a file, which never maps a part that the disk may have no room for."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._in_memory: dict[str, tuple[float, float]] = {}
        self._full = False
        self._f = None  # type: ignore[assignment]  # as the library has it once closed
        try:
            if not Path(filename).exists():
                _make(Path(filename))
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]  # the library's
        except OSError as error:
            if self._f is not None:
                self._f.close()
            self._f, self._positions = None, {}  # type: ignore[assignment]  # as above
            self._give_up(filename, error)

    @property
    def is_whole(self) -> bool:
        """Whether all values are in the file."""
        return not self._full

    def read_value(self, key: str) -> tuple[float, float]:
        """The value and its time; both are 0 for a new key."""
        if not self._has(key):
            return self._in_memory.setdefault(key, (0.0, 0.0))
        found: tuple[float, float] = super().read_value(key)  # type: ignore[no-untyped-call]
        return found

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Keep the value and its time."""
        if self._has(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]
        else:
            self._in_memory[key] = (value, timestamp)

    def _has(self, key: str) -> bool:
        """Whether `key` is in the file, or there is room for it there."""
        if key in self._positions:
            return True
        if self._full:
            return False
        needed = self._used + len(key.encode()) + _FRAME_BYTES
        try:
            while needed > self._capacity:
                _lengthen(self._f.fileno(), self._capacity)
                self._capacity *= 2
                self._m = mmap.mmap(self._f.fileno(), self._capacity)
        except OSError as error:
            self._give_up(self._fname, error)
            return False
        return True

    def _give_up(self, filename: str, error: OSError) -> None:
        self._full = True
        logger.error("new metrics are not shown any more, because %s cannot grow: %s", filename, error)


def add_to_the_dead(pid: int, folder: Path) -> None:
    """Add the counts of process `pid`, which has ended, to those of all that ended before, and remove its files.

    If the disk has no room for that, its files stay, and are read as before.
    """
    for kind in _COUNTING:
        file, dead = folder / f"{kind}_{pid}.db", folder / f"{kind}_{_DEAD}.db"
        if not file.exists():
            continue
        totals: dict[str, float] = {}
        for path in filter(Path.exists, (dead, file)):
            for key, value, *_ in MmapedDict.read_all_values_from_file(str(path)):  # type: ignore[no-untyped-call]
                totals[key] = totals.get(key, 0.0) + value
        new = folder / f"{kind}_{_DEAD}.sum"
        made = RoomyDict(str(new))
        for key, value in totals.items():
            made.write_value(key, value, 0.0)
        made.close()  # type: ignore[no-untyped-call]  # the library's
        if made.is_whole:
            new.replace(dead)
            file.unlink()
        else:
            new.unlink(missing_ok=True)


def _make(path: Path) -> None:
    """Make a file of the first size; it appears at once, because other processes read all files that they find."""
    new = path.with_suffix(".new")
    try:
        with new.open("wb", buffering=0) as file:
            _lengthen(file.fileno(), _FIRST_BYTES)
        new.rename(path)
    finally:
        new.unlink(missing_ok=True)


def _lengthen(file: int, count: int) -> None:
    """Write `count` zeros at the end of `file`; if they do not all fit, leave it as it was and raise `OSError`."""
    before = os.fstat(file).st_size
    try:
        left = count
        while left:
            left -= os.write(file, bytes(min(left, _FIRST_BYTES)))
    except OSError:
        os.ftruncate(file, before)
        raise
