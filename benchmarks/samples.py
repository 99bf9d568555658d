"""Samples of a process's memory, open files and threads over time."""

import statistics
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.server import Service

SETTLE_STEP_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Held:
    """Memory, open files and threads of the service's processes at a time, in seconds from the first sample."""

    at: float
    resident_bytes: int
    open_files: int
    threads: int

    def __str__(self) -> str:
        return f"{self.resident_bytes / 1e6:.1f} MB, {self.open_files} open files, {self.threads} threads"


def take(service: Service, *, at: float = 0.0) -> Held:
    """A sample of what the service holds now."""
    return Held(at, service.resident_bytes(), service.open_files(), service.threads())


def settle(service: Service, *, open_files: int, within_seconds: float) -> Held:
    """A sample once all clients have left, and at most `open_files` are open; at the latest after `within_seconds`."""
    end = time.monotonic() + within_seconds
    while service.open_files() > open_files and time.monotonic() < end:
        time.sleep(SETTLE_STEP_SECONDS)  # polling another process
    return take(service)


class Sampler:
    """Takes samples at intervals, in a thread, until the end of the `with` block."""

    def __init__(self, service: Service, *, every_seconds: float) -> None:
        self.samples: list[Held] = []
        self._service = service
        self._every = every_seconds
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        began = time.monotonic()
        while not self._ended.wait(self._every):
            self.samples.append(take(self._service, at=time.monotonic() - began))


def trend(samples: Sequence[Held]) -> tuple[float, float]:
    """The growth of resident memory in bytes per minute, and its value at time 0, by least squares."""
    times, sizes = [one.at / 60 for one in samples], [one.resident_bytes for one in samples]
    slope, intercept = statistics.linear_regression(times, sizes)
    return slope, intercept


def last_two_thirds(samples: Sequence[Held]) -> Sequence[Held]:
    """The samples after the first third of the time, when everything has been used once."""
    return [one for one in samples if one.at >= samples[-1].at / 3]
