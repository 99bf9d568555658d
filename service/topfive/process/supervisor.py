"""The supervisor: it starts, watches, replaces and stops several worker processes on one listening socket.

uvicorn's own supervisor ends with the signal's number instead of 0 and cannot run our server, which drains.

A worker process that dies, or stops telling that it is well, is replaced, for ever, while the others serve: a request
that kills processes must not end the service. The service only ends by itself if no worker process was ever well.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Final

from topfive.process.lifeline import BEAT_SECONDS, HELD, Life

logger = logging.getLogger("topfive")

_MANY: Final = 4096
_EARLY_SECONDS: Final = 10.0
"""A worker process that ends sooner than this after its first beat has failed; the next waits, to spare the cores."""
_LONGEST_WAIT_SECONDS: Final = 8.0
_CANNOT_BE_SERVED: Final = 2
"""The exit code of a worker process for a bad configuration: another one would end with it too."""
_PAUSE_SECONDS: Final = 5.0
"""If more passes between two looks at the worker processes, the supervisor did not run, and perhaps nor did they."""


class _Place:
    """The place of one worker process, and after it of those that replace it."""

    def __init__(self) -> None:
        self.worker: SpawnProcess | None = None
        self.pulse: Connection | None = None
        self.started = math.inf
        """The second of the worker process' first beat, infinity before it."""
        self.heard = math.inf
        """The second of its last beat; infinity if no beat is expected."""
        self.failures = 0
        """How many worker processes in a row have failed here."""
        self.free_until = -math.inf
        """The second from which the next one may start."""

    def listen(self, now: float) -> bool:
        """Read the worker process' beats; returns False if it has closed its end."""
        assert self.pulse is not None
        if not os.read(self.pulse.fileno(), _MANY):  # the worker process has ended, or will soon
            self.deafen()
            return False
        self.started = min(self.started, now)
        self.heard = now
        return True

    def deafen(self) -> None:
        """Stop expecting beats."""
        self.heard = math.inf
        if self.pulse is not None:
            self.pulse.close()
            self.pulse = None

    def failed(self, now: float) -> float:
        """Count a failure; returns for how many seconds the place stays empty."""
        wait = min(_LONGEST_WAIT_SECONDS, 2.0**self.failures)
        self.failures += 1
        self.free_until = now + wait
        return wait


class Supervisor:
    """Runs `count` worker processes of `work(listener, life)`; calls `on_death(pid)` for each that has ended.

    The signals `stops` stop all of them; a process that has not ended after `stop_seconds` is killed. The signals
    `passed_on` are sent on to each. A worker process begins with some signals held back, until it calls `take_signals`.
    Once it has called `beat`, it is killed if it does not call it again for `silent_seconds`; its start has no bound.
    """

    def __init__(
        self,
        work: Callable[[socket.socket, Life], None],
        *,
        listener: socket.socket,
        count: int,
        stop_seconds: float,
        silent_seconds: float,
        on_death: Callable[[int], None],
        stops: Iterable[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
        passed_on: Iterable[signal.Signals] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = get_context("spawn")
        self._work = work
        self._listener = listener
        self._stop_seconds = stop_seconds
        self._silent_seconds = silent_seconds
        self._on_death = on_death
        self._places = [_Place() for _ in range(count)]
        self._has_served = False
        self._stops = tuple(stops)
        self._passed_on = tuple(passed_on)
        self._now = now
        self._looked = self._counts_from = now()
        self._wake, self._woken = os.pipe()

    def run(self) -> int:
        """Run until a signal stops it, or no worker process can ever serve; returns 0, or a worker's exit code."""
        os.set_blocking(self._woken, False)
        for number in (*self._stops, *self._passed_on):
            signal.signal(number, self._note)
        code = self._watch()
        stopped = self._stop()
        return code or stopped

    def _note(self, number: int, _: object) -> None:
        with contextlib.suppress(BlockingIOError):  # the pipe is full: thousands of signals wait already
            os.write(self._woken, bytes([number]))

    def _watch(self) -> int:
        while True:
            for place in self._places:
                if place.worker is None and place.free_until <= self._now():
                    self._start(place)
            ready = connection.wait([self._wake, *self._signs()], BEAT_SECONDS)
            if self._wake in ready:
                numbers = set(os.read(self._wake, _MANY))
                if not numbers <= set(self._passed_on):
                    return 0
                self._pass_on(numbers)
            if (code := self._look(ready)) is not None:
                return code

    def _signs(self) -> Iterable[Connection | int]:
        """The connections that show the beats of worker processes, and the handles that show their ends."""
        for place in self._places:
            if place.pulse is not None:
                yield place.pulse
            if place.worker is not None:
                yield place.worker.sentinel

    def _start(self, place: _Place) -> None:
        try:
            place.pulse, life = self._context.Pipe()
            worker = self._context.Process(target=self._work, args=(self._listener, life))
            held = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
            try:
                with life:
                    worker.start()  # it inherits the mask
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, held)
        except OSError as error:  # the system has no process, file or memory left, which may pass
            place.deafen()
            logger.error(
                "a worker cannot be started, and is tried again in %.0f s: %s", place.failed(self._now()), error
            )
        else:
            place.worker, place.started, place.heard = worker, math.inf, math.inf

    def _look(self, ready: Iterable[object]) -> int | None:
        """Look at beats and ends of the worker processes; returns an exit code if the service cannot go on."""
        now = self._now()
        if now - self._looked > _PAUSE_SECONDS:
            self._counts_from = now
        self._looked = now
        for place in self._places:
            if place.pulse in ready:
                self._has_served |= place.listen(now)
            if (worker := place.worker) is None:
                continue
            if worker.sentinel in ready:
                if (code := self._replace(place, worker, now)) is not None:
                    return code
            elif now - max(place.heard, self._counts_from) > self._silent_seconds:
                logger.error(
                    "worker %s has not told for %.0f s that it is well; killing it", worker.pid, self._silent_seconds
                )
                place.deafen()
                worker.kill()
        return None

    def _replace(self, place: _Place, worker: SpawnProcess, now: float) -> int | None:
        """Clear up after `worker`, which has ended; returns an exit code if starting another would be useless."""
        self._bury(place, worker)
        if now - place.started > _EARLY_SECONDS:
            place.failures = 0
            logger.error("worker %s ended with %s; starting another", worker.pid, worker.exitcode)
            return None
        wait = place.failed(now)
        if not self._has_served and (
            worker.exitcode == _CANNOT_BE_SERVED or all(place.failures for place in self._places)
        ):
            logger.critical("worker %s ended with %s, and none has ever served; stopping", worker.pid, worker.exitcode)
            return abs(worker.exitcode or 1)
        logger.error("worker %s ended with %s; starting another in %.0f s", worker.pid, worker.exitcode, wait)
        return None

    def _pass_on(self, numbers: Iterable[int]) -> None:
        for worker in self._workers():
            for number in numbers:
                if worker.pid is not None and worker.is_alive():
                    os.kill(worker.pid, number)

    def _workers(self) -> list[SpawnProcess]:
        return [place.worker for place in self._places if place.worker is not None]

    def _stop(self) -> int:
        for running in self._workers():
            running.terminate()
        ends = time.monotonic() + self._stop_seconds
        code = 0
        for place in self._places:
            if (worker := place.worker) is None:
                continue
            worker.join(max(0.0, ends - time.monotonic()))
            if worker.is_alive():
                logger.error("worker %s did not stop within %.1f s; killing it", worker.pid, self._stop_seconds)
                worker.kill()
                worker.join()
            self._bury(place, worker)
            if worker.exitcode != -signal.SIGTERM:  # it ended during its start, before it could handle SIGTERM
                code = max(code, abs(worker.exitcode or 0))
        return code

    def _bury(self, place: _Place, worker: SpawnProcess) -> None:
        worker.join()
        place.deafen()
        place.worker = None
        try:
            self._on_death(worker.pid or 0)
        except Exception as error:  # the other worker processes go on
            logger.error("what worker %s leaves behind cannot be cleared up", worker.pid, exc_info=error)
