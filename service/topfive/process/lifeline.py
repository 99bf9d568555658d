"""What a worker process has to do with its supervisor: a connection of its own, `Life`, and signals that are held back.

The other end of the connection is the supervisor's alone: when that dies, however it does, the system closes it, and
the worker learns of it. The other way the worker tells that it is well.
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
"""How often a worker tells that it is well."""
HELD: Final = (signal.SIGHUP, signal.SIGINT)
"""Signals that a terminal sends to all at once; they must not end a worker before it can stop in order."""
_ORPHAN_SECONDS: Final = 1.5
"""How long a worker whose supervisor has died may take to stop: until it is gone, no new service can have the port."""

Life = Connection
"""The worker's end; nothing comes there but the end."""


def beat(life: Life) -> None:
    """Tell the supervisor that this worker process is well. Never waits, not even for one that is stopped."""
    os.set_blocking(life.fileno(), False)
    with contextlib.suppress(BlockingIOError, ConnectionError):  # it has enough; it is gone, of which `life` tells
        os.write(life.fileno(), b".")


def end_with_supervisor(life: Life, *, seconds: float = _ORPHAN_SECONDS) -> None:
    """From now on, stop this process as by SIGTERM if its supervisor dies, and end it after `seconds` regardless.

    On a thread, which neither a busy event loop nor a long start holds up.
    """

    def watch() -> None:
        connection.wait([life])  # ready at its end only
        logger.error("the supervisor is gone; stopping")
        for _ in range(2):  # a second one ends the grace
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(seconds / 2)
        os._exit(1)

    threading.Thread(target=watch, name="life", daemon=True).start()


def take_signals() -> None:
    """Let those signals come in that were held back while this worker process could not handle them yet."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
