"""Threads of a pool that die at the test's word, as no code of ours makes them."""

from __future__ import annotations

import asyncio
import ctypes
import dis
import sys
import threading
import time
from typing import Final

from service.workers import WorkerPool

_SECONDS: Final = 30.0
"""Bound on waiting for what must happen anyway."""


def kill(thread: threading.Thread, error: type[BaseException]) -> None:
    """Make `error` come up in `thread`, wherever it is, at its next step."""
    assert thread.ident is not None
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert set_exception(ctypes.c_ulong(thread.ident), ctypes.py_object(error)) == 1


async def idle_thread(pool: WorkerPool) -> threading.Thread:
    """A thread of `pool` that waits for a call: the one instruction at which it does that is under way."""
    thread = await pool.run(threading.current_thread)
    assert thread.ident is not None
    ends = time.monotonic() + _SECONDS
    while time.monotonic() < ends:
        frame = sys._current_frames()[thread.ident]
        if dis.opname[frame.f_code.co_code[frame.f_lasti]] == "FOR_ITER":
            return thread
        await asyncio.sleep(0)
    raise AssertionError("the thread does not become idle")
