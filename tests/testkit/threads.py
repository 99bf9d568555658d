"""Calls that kill the thread which takes them, as no code of ours does.

An exception set from outside (`PyThreadState_SetAsyncExc`) would do it at any step; but while one is pending for a
thread that waits, CPython 3.11 under coverage never gets on in the others.
"""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from topfive.machine.workers import WorkerPool


def run_deadly(pool: WorkerPool, error: BaseException) -> asyncio.Future[Any]:
    """Submit a call that no thread survives: `error` comes up outside of it, with the call in the thread's hand."""
    call = _Deadly(error)
    pool._jobs.put((call, str, ()))
    return call


class _Deadly(asyncio.Future[Any]):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self._error = error
        self._home = threading.get_ident()

    def cancelled(self) -> bool:
        """What a thread asks before it makes the call."""
        if threading.get_ident() != self._home:
            raise self._error
        return super().cancelled()
