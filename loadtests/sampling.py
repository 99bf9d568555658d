"""A thread that reads the server's metrics during the whole run; `server_metrics` evaluates them."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Final, Self

import psutil

from loadtests import server_metrics, target
from loadtests.results import Moment, Server
from topfive_loadgen import metrics
from topfive_loadgen.metrics import Reading

EVERY_SECONDS: Final = 0.5


class Sampler:
    """Reads until the end of the `with` block. `pid`: a local server that does not report its CPU and memory.

    A failed or unreadable reading is left out and counted in `missed`: overloaded servers are normal here.
    """

    def __init__(self, metrics_url: str, *, pid: int | None, zero: float) -> None:
        self.missed = 0
        self.readings: list[Reading] = []
        self.moments: list[Moment] = []
        self.phase = ""
        self._url = metrics_url
        self._process = psutil.Process(pid) if pid else None
        self._zero = zero
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def asked(self) -> int:
        """How often the server was asked so far."""
        return len(self.readings) + self.missed

    def server(self, start: float, end: float) -> Server | None:
        """What the server did from `start` to `end` (monotonic)."""
        return server_metrics.between(self.readings, start=start, end=end)

    def _run(self) -> None:
        while True:
            try:
                self._note(self._read())
            except (OSError, ValueError):
                self.missed += 1
            if self._ended.wait(EVERY_SECONDS):
                return

    def _read(self) -> Reading:
        reading = metrics.parse(target.get(self._url).decode(), at=time.monotonic())
        if self._process is not None:
            family = [self._process, *self._process.children(recursive=True)]
            return server_metrics.with_process(
                reading,
                cpu_seconds=sum(sum(one.cpu_times()[:2]) for one in family),
                resident_bytes=sum(one.memory_info().rss for one in family),
            )
        return reading

    def _note(self, reading: Reading) -> None:
        before: Sequence[Reading] = self.readings[-1:]
        self.readings.append(reading)
        used = server_metrics.between([*before, reading], start=0.0, end=reading.at)
        self.moments.append(
            Moment(
                at=reading.at - self._zero,
                cpu_cores=used.cpu_cores if used else None,
                resident_bytes=server_metrics.memory(reading),
                phase=self.phase,
            )
        )
