"""The link between a worker process and its supervisor: a pipe, `Life`, and signals that are held back at the start.

Only the supervisor has the other end of the pipe. If the supervisor dies, however it does, the system closes that end,
and the worker process notices. Through the pipe the worker process tells that it is well.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from multiprocessing import connection
from multiprocessing.connection import Connection
from typing import Final

logger = logging.getLogger("topfive")

BEAT_SECONDS: Final = 1.0
"""How often a worker process tells that it is well."""
HELD: Final = (signal.SIGHUP, signal.SIGINT)
"""Signals that a terminal sends to all processes; they must not end a worker process that cannot stop in order yet."""
_ORPHAN_SECONDS: Final = 1.5
"""How long a worker process may take to stop after its supervisor died; until then no new service gets the port."""

Life = Connection
"""The worker process' end of the pipe; all that it can receive is that the supervisor's end was closed."""


def beat(life: Life) -> None:
    """Tell the supervisor that this worker process is well. It never waits, not even if the supervisor is stopped."""
    os.set_blocking(life.fileno(), False)
    with contextlib.suppress(BlockingIOError, ConnectionError):  # the pipe is full; or the supervisor has died
        os.write(life.fileno(), b".")


def end_with_supervisor(life: Life, *, seconds: float = _ORPHAN_SECONDS) -> None:
    """From now on, if the supervisor dies, stop this process as by SIGTERM, and after `seconds` end it regardless.

    A thread does this, so that neither a busy event loop nor a long start holds it up.
    """

    def watch() -> None:
        connection.wait([life])  # returns only when the supervisor's end is closed
        logger.error("the supervisor is gone; stopping")
        for _ in range(2):  # the second signal ends the grace
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(seconds / 2)
        os._exit(1)

    threading.Thread(target=watch, name="life", daemon=True).start()


def take_signals() -> None:
    """Receive the signals that were held back while this worker process could not handle them yet."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
