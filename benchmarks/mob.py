"""The mob: many misbehaving clients at once. A seed decides the order of their kinds and the details."""

import threading
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from random import Random
from types import TracebackType
from typing import Self

from benchmarks.nasty import Nastiness, Victim


class Mob:
    """Threads that take kinds from one shuffled deck, until the end of the `with` block.

    Each pauses for `pause_seconds` between two kinds. The first deck is always dealt to its end.
    """

    def __init__(
        self, victim: Victim, kinds: Mapping[str, Nastiness], *, size: int, seed: int, pause_seconds: float = 0.0
    ) -> None:
        self.outcomes: dict[str, Counter[str]] = {name: Counter() for name in kinds}
        self._pause = pause_seconds
        self._victim = victim
        self._kinds = kinds
        self._chance = Random(seed)
        self._deck = self._shuffled()
        self._all_dealt = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._size = size
        self._threads = ThreadPoolExecutor(size)
        self._working: list[Future[None]] = []

    def __enter__(self) -> Self:
        self._working = [self._threads.submit(self._work) for _ in range(self._size)]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait until each thread has finished its current kind; raise an exception of a thread here."""
        self._ended.set()
        self._threads.shutdown()
        for one in self._working:
            one.result()

    def _work(self) -> None:
        while not self._ended.wait(self._pause) or not self._all_dealt:
            kind, chance = self._draw()
            try:
                words = self._kinds[kind](self._victim, chance)
            except OSError as error:  # the service refuses connections; the verdict judges that
                words = [f"no connection: {type(error).__name__}"]
            with self._lock:
                self.outcomes[kind].update(words)

    def _draw(self) -> tuple[str, Random]:
        with self._lock:
            kind = self._deck.pop()
            if not self._deck:
                self._deck, self._all_dealt = self._shuffled(), True
            return kind, Random(self._chance.random())

    def _shuffled(self) -> list[str]:
        return self._chance.sample([*self._kinds], len(self._kinds))
