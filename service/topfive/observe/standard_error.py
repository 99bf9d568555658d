"""Standard error, written by a thread of its own: so logging never waits for the reader, and never fails with it.

Standard error may be a pipe whose reader has stopped reading, a file on a full disk, or gone. So all that the process
writes there, log lines and tracebacks alike, waits in a bounded buffer. Lines that do not fit, or cannot be written,
are lost and counted; when lines can be written again, the log says how many were lost.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import select
import stat
import sys
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

logger = logging.getLogger("topfive")

_MAX_BYTES: Final = 1 << 22
"""The most bytes that wait: some ten thousand lines."""
_LAST_SECONDS: Final = 1.0
"""How long the end of the process may wait for its last lines."""
_PAUSE_SECONDS: Final = 0.02
"""The pause after each writing: to wake for every line would cost a busy service 20 us. After silence there is none."""


class QueuedFile(io.RawIOBase):
    """Writes to the file descriptor `file`, in order, on a thread; `write` never waits and never fails.

    The bytes of one call, one line or more, are kept together.
    """

    def __init__(self, file: int, *, max_bytes: int = _MAX_BYTES) -> None:
        self.lost = 0
        self._file = file
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._nbytes = 0
        self._told = 0
        self._lock = threading.RLock()  # garbage collection may log at any point, also while this thread holds it
        self._idle = True
        self._work = threading.Lock()
        self._work.acquire()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: ReadableBuffer, /) -> int:
        """Let `line` wait for the thread, if there is room; else count it as lost."""
        line = bytes(line)
        with self._lock:
            if self._nbytes + len(line) > self._max_bytes:
                self.lost += 1
                return len(line)
            self._nbytes += len(line)
            self._lines.append(line)
            if self._idle:
                self._idle = False
                self._work.release()
        return len(line)

    def flush(self) -> None:
        """Do nothing: the thread writes. See `drain`."""

    def drain(self, seconds: float = _LAST_SECONDS) -> bool:
        """Wait until all is written, but at most `seconds`; returns whether all is."""
        ends = time.monotonic() + seconds
        while not self._idle and time.monotonic() < ends:
            time.sleep(_PAUSE_SECONDS / 4)
        return self._idle

    def writable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def fileno(self) -> int:
        """See `io.RawIOBase`."""
        return self._file

    def isatty(self) -> bool:
        """See `io.RawIOBase`."""
        return os.isatty(self._file)

    def _run(self) -> None:
        while True:
            self._work.acquire()
            while not self._idle:
                while lines := self._take():
                    self._write_all(lines)
                time.sleep(_PAUSE_SECONDS)
                with self._lock:
                    if not self._lines:
                        self._idle = True

    def _write_all(self, lines: list[bytes]) -> None:
        try:
            self._write(b"".join(lines))
        except OSError:  # the lines are counted, and `_tell` logs the count later
            with self._lock:
                self.lost += len(lines)
        else:
            self._tell()

    def _take(self) -> list[bytes]:
        """The lines to write in one go; empty if none wait.

        They are as many as a pipe takes as a whole, so that lines of other processes cannot come in between.
        """
        with self._lock:
            lines: list[bytes] = []
            room = select.PIPE_BUF
            while self._lines and (not lines or len(self._lines[0]) <= room):
                lines.append(self._lines.popleft())
                room -= len(lines[-1])
            self._nbytes -= sum(map(len, lines))
            return lines

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._file, left) :]
            except BlockingIOError:  # another process that shares the file made it non-blocking
                poll = select.poll()
                poll.register(self._file, select.POLLOUT)
                poll.poll()

    def _tell(self) -> None:
        """Log how many lines were lost, as soon as no line waits."""
        if self._told < self.lost and not self._lines:
            count, self._told = self.lost - self._told, self.lost
            logger.error("%d lines of this log were lost, because they could not be written", count)


def queue_standard_error() -> QueuedFile:
    """From now until the process ends, all that Python code writes to standard error goes through a `QueuedFile`."""
    number = sys.stderr.fileno()
    _let_go_when_full(number)
    file = QueuedFile(number)
    sys.stderr = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", line_buffering=True)
    atexit.register(file.drain)
    return file


def _let_go_when_full(number: int) -> None:
    """If `number` is a pipe, make it non-blocking: C libraries write to it too, and would wait when it is full.

    Opened file and flag are shared with the process that started this one, so the pipe is opened once more.
    """
    if not stat.S_ISFIFO(os.fstat(number).st_mode):
        return
    try:
        opened = os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # the pipe is another user's, or this is not Linux: then C libraries may wait
        return
    os.dup2(opened, number)
    os.close(opened)
