"""Standard error, written to by one thread: nobody who logs waits for whoever reads it, or fails with it.

It may be a pipe whose reader has stopped reading, a file on a full disk, or gone. So what the process writes there,
log lines and tracebacks alike, waits in a bounded queue. What does not fit, or cannot be written, is lost, counted, and
told of once lines are written again.
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
"""Of what waits: some ten thousand lines."""
_LAST_SECONDS: Final = 1.0
"""How long the end of the process may wait for its last lines."""
_PAUSE_SECONDS: Final = 0.02
"""From one writing to the next, but for the first after silence: to wake for every line costs a busy service 20 us."""


class QueuedFile(io.RawIOBase):
    """Writes to the file descriptor `file`, in order, on a thread; `write` never waits and never fails.

    Of each call the bytes are kept together, as one line or more.
    """

    def __init__(self, file: int, *, max_bytes: int = _MAX_BYTES) -> None:
        self.lost = 0
        self._file = file
        self._max_bytes = max_bytes
        self._lines: deque[bytes] = deque()
        self._nbytes = 0
        self._told = 0
        self._lock = threading.RLock()  # a collection of garbage may log, wherever it comes
        self._idle = True
        self._work = threading.Lock()
        self._work.acquire()
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def write(self, line: ReadableBuffer, /) -> int:
        """Queue it, if there is room."""
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
        """Nothing: the thread is at it. See `drain`."""

    def drain(self, seconds: float = _LAST_SECONDS) -> bool:
        """Wait until all is written, but no longer than that; whether it is."""
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
        except OSError:  # counted, and told of when it can be
            with self._lock:
                self.lost += len(lines)
        else:
            self._tell()

    def _take(self) -> list[bytes]:
        """What is to be written at once, nothing if nothing waits.

        As much as a pipe takes whole: other processes write to it, and their lines must not come in between.
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
            except BlockingIOError:  # who shares the file has set it so
                poll = select.poll()
                poll.register(self._file, select.POLLOUT)
                poll.poll()

    def _tell(self) -> None:
        """Say how many lines were lost, when it has caught up."""
        if self._told < self.lost and not self._lines:
            count, self._told = self.lost - self._told, self.lost
            logger.error("%d lines of this log were lost, for they could not be written", count)


def queue_standard_error() -> QueuedFile:
    """From now on, have all that Python code writes to standard error go that way, up to the end of the process."""
    number = sys.stderr.fileno()
    _let_go_when_full(number)
    file = QueuedFile(number)
    sys.stderr = io.TextIOWrapper(file, "utf-8", errors="backslashreplace", line_buffering=True)
    atexit.register(file.drain)
    return file


def _let_go_when_full(number: int) -> None:
    """If `number` is a pipe, have it refuse what it has no room for: libraries in C write there too, and would wait.

    That is a property of how the pipe was opened, which whoever started the process shares: so it is opened once more.
    """
    if not stat.S_ISFIFO(os.fstat(number).st_mode):
        return
    try:
        opened = os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # another user's, or no Linux: then those libraries wait
        return
    os.dup2(opened, number)
    os.close(opened)
