"""Ends a command that is told to: in order, so that nothing is left behind; or at once, if it cannot.

Python's own handlers of signals wait until the runtime, in C, has done its work, which a graph can prevent for ever.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

STOPPED: Final = 130
"""The exit code after SIGINT, SIGTERM or SIGHUP."""
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STANDARD_ERROR: Final = 2
_GRACE_SECONDS: Final = 15.0
"""For a server of the proof to end, and for files to be removed."""


@contextmanager
def stops_in_order() -> Iterator[None]:
    """Meanwhile the signals raise `KeyboardInterrupt`, and end the process if it has not ended 15 seconds later.

    Nothing is changed outside of the main thread, which alone gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = {number: signal.signal(number, _interrupt) for number in _SIGNALS}
    fd = signal.set_wakeup_fd(writer.fileno())
    threading.Thread(target=_watch, args=(reader,), name="stopping", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd)
        for number, handler in before.items():
            signal.signal(number, handler)
        writer.close()  # which ends the thread


def _interrupt(*_: Any) -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)  # a second one must not interrupt what removes files
    raise KeyboardInterrupt


def _watch(reader: socket.socket) -> None:
    with reader:
        if not _signalled(reader):
            return
        reader.settimeout(_GRACE_SECONDS)
        try:
            while reader.recv(1):
                pass
        except TimeoutError:
            os.write(_STANDARD_ERROR, b"topfive: stopped\n")
            os._exit(STOPPED)


def _signalled(reader: socket.socket) -> bool:
    """Wait for one of the signals; false if the command has ended before."""
    while number := reader.recv(1):
        if number[0] in _SIGNALS:
            return True
    return False
