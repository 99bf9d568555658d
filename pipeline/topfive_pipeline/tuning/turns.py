"""Puts running candidates under load, one after the other, by the process that generates load."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.tuning.choosing import Candidate
from topfive_pipeline.tuning.plan import BETWEEN, enough_seconds
from topfive_pipeline.tuning.rounds import Asked
from topfive_pipeline.tuning.servers import Running
from topfive_pipeline.under_load.generator import Generator
from topfive_pipeline.under_load.latency_objective import Objective
from topfive_pipeline.under_load.load import Capacity, Probe

_LONGER: Final = 4.0
"""How many times as long as planned a load may last, where a rate is so low that it has few answers."""

Progress = Callable[[str], None]


class Turns:
    """The loads on the servers of candidates; `seconds` is how long one lasts, `left` how many are expected yet."""

    def __init__(
        self,
        generator: Generator,
        requests: Sequence[bytes],
        objective: Objective,
        *,
        connections: int,
        progress: Progress,
    ) -> None:
        self.seconds = 0.0
        self.left = 0
        self._beyond = [BETWEEN]
        self.running: dict[int, Running] = {}
        self._generator = generator
        self._requests = requests
        self._objective = objective
        self._connections = connections
        self._progress = progress

    @property
    def between(self) -> float:
        """The mean of what loads took beyond their seconds: connections, and answers that were still to come."""
        return statistics.mean(self._beyond)

    def add(self, candidate: Candidate, running: Running) -> None:
        """Measure `candidate` on the server `running` from now on."""
        self.running[id(candidate)] = running

    def end(self, candidate: Candidate) -> None:
        """End the server of `candidate`, if it has one."""
        if running := self.running.pop(id(candidate), None):
            running.close.close()

    def __call__(self, candidate: Candidate, asked: Asked, number: int) -> Capacity | Probe:
        """Put `candidate` under the load that is `asked` for, in round `number`."""
        to_go = max(0.0, self.left * (self.seconds + self.between))
        self._progress(f"round {number}, about {to_go:.0f} s left: {candidate.setting.title}")
        self.left -= 1
        began = time.monotonic()
        found = self._put_under(candidate, asked, number)
        self._beyond.append(time.monotonic() - began - self.seconds)
        return found

    def _put_under(self, candidate: Candidate, asked: Asked, number: int) -> Capacity | Probe:
        url = self.running[id(candidate)].url
        if asked.rate is None:
            return self._closed(candidate, url)
        seconds = min(max(self.seconds, enough_seconds(self._objective, asked.rate)), _LONGER * self.seconds)
        return self._generator.opened(url, self._requests, rate=asked.rate, seconds=seconds, seed=number)

    def capacity(self, candidate: Candidate, seconds: float) -> Capacity:
        """A closed loop of `seconds`; raises `ConfigurationError` if there is no right answer, or the server ends."""
        url = self.running[id(candidate)].url
        try:
            found = self._generator.closed(url, self._requests, connections=self._connections, seconds=seconds)
        except OSError as error:
            raise ConfigurationError(
                f"the model as it is cannot be put under load: {error}; does it answer at all? See its log"
            ) from error
        if found.rate <= 0:
            raise ConfigurationError(
                "the model as it is refuses all images that are sent; does it take what --image says?"
            )
        return found

    def _closed(self, candidate: Candidate, url: str) -> Capacity:
        try:
            return self._generator.closed(url, self._requests, connections=self._connections, seconds=self.seconds)
        except OSError as error:  # a server that ends or hangs under load has no capacity
            candidate.fate, candidate.reason = "failed", f"it failed under load: {error}"
            return Capacity(0.0, 1)
