"""The resident memory of a server over the time that it is under load, as its metrics tell it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from types import TracebackType
from typing import Self

Clock = Callable[[], float]
Read = Callable[[], float]


@dataclass(slots=True)
class Resident:
    """`samples`: seconds by the clock, and bytes. `missed`: how often it was asked in vain; `reason`: the last one."""

    samples: list[tuple[float, float]] = field(default_factory=list)
    missed: int = 0
    reason: str = ""


class Sampling:
    """Reads the memory every `seconds` into `into`, from a thread, while the context lasts; and once at its end."""

    def __init__(self, read: Read, into: Resident, *, seconds: float, clock: Clock = time.monotonic) -> None:
        self._read = read
        self._into = into
        self._seconds = seconds
        self._clock = clock
        self._over = Event()
        self._thread = Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._once()

    def _sample(self) -> None:
        while not self._over.wait(self._seconds):
            self._once()

    def _once(self) -> None:
        try:
            found = self._read()
        except (OSError, ValueError) as error:
            self._into.missed += 1
            self._into.reason = str(error)
            return
        self._into.samples.append((self._clock(), found))
