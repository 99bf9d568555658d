"""The meaning of each signal: stop, or read files again.

SIGTERM and SIGINT stop the process. SIGHUP means two things. To a process on a terminal it means that the terminal has
gone; the process stops, because no operator could stop it any more. To a process without a terminal (in a container,
under a service manager) it means to read its files again. If SIGHUP was ignored at the start (`nohup`), it stays so.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Final

_TERMINAL: Final = "/dev/tty"


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals that stop this process, and those that make it read its files again."""

    stop: tuple[signal.Signals, ...]
    reload: tuple[signal.Signals, ...]


def signals_of_this_process() -> Signals:
    """The signals, by the way the process was started; ask at the start, while its terminal can still be found."""
    stop = (signal.SIGTERM, signal.SIGINT)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return Signals(stop, ())
    if _has_terminal():
        return Signals((*stop, signal.SIGHUP), ())
    return Signals(stop, (signal.SIGHUP,))


def _has_terminal() -> bool:
    """Whether this process belongs to a terminal, wherever its output goes."""
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
