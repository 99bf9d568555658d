"""A thread that reads the server's metrics during the whole run; `server_metrics` evaluates them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

import psutil

from loadtests import server_metrics, target
from loadtests.liveness import Liveness
from loadtests.results import Gap, Moment, Server
from topfive_loadgen import metrics
from topfive_loadgen.metrics import Reading

EVERY_SECONDS: Final = 0.5


class Sampler:
    """Reads until the end of the `with` block. `pid`: a local server that does not report its CPU and memory.

    A failed or unreadable reading is left out, counted in `missed`, and kept as one of the `gaps`: overloaded servers
    are normal here. `following` is told when the server's process began, and of its end.
    """

    def __init__(
        self, metrics_url: str, following: Liveness, *, pid: int | None, zero: float, say: Callable[[str], None]
    ) -> None:
        self.missed = 0
        self.readings: list[Reading] = []
        self.moments: list[Moment] = []
        self.gaps: list[Gap] = []
        self.phase = ""
        self._following = following
        self._say = say
        self._url = metrics_url
        self._process = psutil.Process(pid) if pid else None
        self._zero = zero
        self._read_since = True  # whether a reading succeeded since the last gap
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
            began = time.monotonic()
            try:
                self._note(self._read())
            except (OSError, ValueError):
                self._miss(began, time.monotonic())
            except psutil.NoSuchProcess as error:
                self._miss(began, time.monotonic())
                if self._process is not None and error.pid == self._process.pid:  # one below it may end
                    said = f"the server's process {error.pid} has ended"
                    self._tell(self._following.gone(said, at=time.monotonic()))
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

    def _tell(self, said: str) -> None:
        if said:
            self._say(said)

    def _miss(self, began: float, ended: float) -> None:
        """Count a reading that failed; those in a row are one gap."""
        self.missed += 1
        missed = Gap(of="metrics", began=began - self._zero, ended=ended - self._zero, count=1)
        if self.gaps and not self._read_since:
            before = self.gaps.pop()
            missed = replace(before, ended=missed.ended, count=before.count + 1)
        self._read_since = False
        self.gaps.append(missed)

    def _note(self, reading: Reading) -> None:
        before: Sequence[Reading] = self.readings[-1:]
        self.readings.append(reading)
        self._read_since = True
        self._tell(self._following.started(server_metrics.began(reading), at=reading.at))
        used = server_metrics.between([*before, reading], start=before[0].at, end=reading.at) if before else None
        self.moments.append(
            Moment(
                at=reading.at - self._zero,
                cpu_cores=used.cpu_cores if used else None,
                resident_bytes=server_metrics.memory(reading),
                phase=self.phase,
            )
        )
