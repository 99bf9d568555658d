"""Several worker processes on one listening socket: started, watched, replaced, and stopped together.

uvicorn's own supervisor ends with the signal's number instead of 0 and cannot run our server, which drains. Each worker
holds one end of a pipe, `Life`, whose other end the supervisor has and nobody else: when it dies, however it does, the
system closes that end, and the workers learn of it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

logger = logging.getLogger("topfive")

_MANY: Final = 4096
_EARLY_SECONDS: Final = 10.0
"""A worker that ends sooner than this after its start would end so again: all stop, rather than restart for ever."""
_ORPHAN_SECONDS: Final = 1.5
"""How long a worker whose supervisor has died may take to stop: until it is gone, no new service can have the port."""
_HELD: Final = (signal.SIGHUP, signal.SIGINT)
"""Signals that a terminal sends to all at once; they must not end a worker before it can stop in order."""

Life = Connection
"""A worker's end of the pipe to its supervisor; nothing is ever sent."""


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
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


class Supervisor:
    """Runs `count` processes of `work(listener, life)`; `on_death(pid)` is told of each that has ended.

    The signals `stops` stop all of them; one that has not ended after `stop_seconds` is killed. The signals `passed_on`
    are sent on to each. A worker begins with some signals held back, until it calls `take_signals`.
    """

    def __init__(
        self,
        work: Callable[[socket.socket, Life], None],
        *,
        listener: socket.socket,
        count: int,
        stop_seconds: float,
        on_death: Callable[[int], None],
        stops: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
        passed_on: Iterable[signal.Signals] = (),
    ) -> None:
        self._context = get_context("spawn")
        self._work = work
        self._listener = listener
        self._count = count
        self._stop_seconds = stop_seconds
        self._on_death = on_death
        self._workers: dict[SpawnProcess, float] = {}
        self._stops = tuple(stops)
        self._passed_on = tuple(passed_on)
        self._life, self._alive = self._context.Pipe(duplex=False)
        self._wake, self._woken = os.pipe()

    def run(self) -> int:
        """Until a signal, or until a worker cannot be started; the exit code: 0, or that worker's."""
        os.set_blocking(self._woken, False)
        for number in (*self._stops, *self._passed_on):
            signal.signal(number, self._note)
        for _ in range(self._count):
            self._start()
        code = self._watch()
        stopped = self._stop()
        return code or stopped

    def _note(self, number: int, _: object) -> None:
        with contextlib.suppress(BlockingIOError):  # thousands wait to be looked at
            os.write(self._woken, bytes([number]))

    def _start(self) -> None:
        worker = self._context.Process(target=self._work, args=(self._listener, self._life))
        held = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
        try:
            worker.start()  # which inherits the mask
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        self._workers[worker] = time.monotonic()

    def _watch(self) -> int:
        while True:
            ended = connection.wait([self._wake, *(worker.sentinel for worker in self._workers)])
            if self._wake in ended:
                numbers = set(os.read(self._wake, _MANY))
                if not numbers <= set(self._passed_on):
                    return 0
                self._pass_on(numbers)
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

    def _pass_on(self, numbers: Iterable[int]) -> None:
        for worker in self._workers:
            for number in numbers:
                if worker.pid is not None and worker.is_alive():
                    os.kill(worker.pid, number)

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
