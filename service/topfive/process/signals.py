"""Which signal means what: stop, or read again.

SIGTERM and SIGINT stop. SIGHUP means two things: to a process on a terminal, that the terminal has gone, and so it
stops, for nobody would be left to stop it; to one without (a service manager's, a container's), that it should read its
files again. One that is started with SIGHUP ignored (`nohup`) ignores it.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Final

_TERMINAL: Final = "/dev/tty"


@dataclass(frozen=True, slots=True)
class Signals:
    """The signals of this process that stop it, and those that make it read its files again."""

    stop: tuple[signal.Signals, ...]
    reload: tuple[signal.Signals, ...]


def signals_of_this_process() -> Signals:
    """As it was started; to be asked at the start, for a terminal that has gone cannot be found any more."""
    stop = (signal.SIGTERM, signal.SIGINT)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        return Signals(stop, ())
    if _has_terminal():
        return Signals((*stop, signal.SIGHUP), ())
    return Signals(stop, (signal.SIGHUP,))


def _has_terminal() -> bool:
    """Whether there is a terminal that this process belongs to, wherever its output goes."""
    try:
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
