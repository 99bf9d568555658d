"""Several worker processes on one listening socket: started, watched, replaced, and stopped together.

uvicorn's own supervisor ends with the signal's number instead of 0 and cannot run our server, which drains.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing import connection, get_context
from multiprocessing.context import SpawnProcess
from typing import Final

logger = logging.getLogger("topfive")

_EARLY_SECONDS: Final = 10.0
"""A worker that ends sooner than this after its start would end so again: all stop, rather than restart for ever."""


class Supervisor:
    """Runs `count` processes of `work(listener)`; `on_death(pid)` is told of each that has ended.

    SIGTERM and SIGINT stop all of them; one that has not ended after `stop_seconds` is killed.
    """

    def __init__(
        self,
        work: Callable[[socket.socket], None],
        *,
        listener: socket.socket,
        count: int,
        stop_seconds: float,
        on_death: Callable[[int], None],
    ) -> None:
        self._context = get_context("spawn")
        self._work = work
        self._listener = listener
        self._count = count
        self._stop_seconds = stop_seconds
        self._on_death = on_death
        self._workers: dict[SpawnProcess, float] = {}
        self._wake, self._woken = os.pipe()

    def run(self) -> int:
        """Until a signal, or until a worker cannot be started; the exit code: 0, or that worker's."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: os.write(self._woken, b"!"))
        for _ in range(self._count):
            self._start()
        code = self._watch()
        stopped = self._stop()
        return code or stopped

    def _start(self) -> None:
        worker = self._context.Process(target=self._work, args=(self._listener,))
        worker.start()
        self._workers[worker] = time.monotonic()

    def _watch(self) -> int:
        while True:
            ended = connection.wait([self._wake, *(worker.sentinel for worker in self._workers)])
            if self._wake in ended:
                return 0
            for worker in [worker for worker in self._workers if worker.sentinel in ended]:
                started = self._workers.pop(worker)
                worker.join()
                self._bury(worker)
                if time.monotonic() - started < _EARLY_SECONDS:
                    logger.critical(
                        "worker %s ended with %s soon after its start; stopping", worker.pid, worker.exitcode
                    )
                    return abs(worker.exitcode or 1)
                logger.error("worker %s ended with %s; starting another", worker.pid, worker.exitcode)
                self._start()

    def _stop(self) -> int:
        for worker in self._workers:
            worker.terminate()
        ends = time.monotonic() + self._stop_seconds
        code = 0
        for worker in self._workers:
            worker.join(max(0.0, ends - time.monotonic()))
            if worker.is_alive():
                logger.error("worker %s did not stop within %.1f s; killing it", worker.pid, self._stop_seconds)
                worker.kill()
                worker.join()
            self._bury(worker)
            if worker.exitcode != -signal.SIGTERM:  # so ends one that had not yet got to handling it
                code = max(code, abs(worker.exitcode or 0))
        return code

    def _bury(self, worker: SpawnProcess) -> None:
        if worker.pid is not None:
            self._on_death(worker.pid)
