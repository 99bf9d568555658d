"""The answer cache: what images were answered, bounded in bytes and in age; a pure class on a given clock.

What lives here: the bounds, which entry leaves first, and what an entry counts. What does not: what an image's key is
made of, and when it is looked up (`request.lookup`).

Invariants (property-tested in `tests/request/test_answer_cache.py`): the entries never count more than `max_bytes`; no
answer is given `max_seconds` after it was made, nor after its unit has gone, nor for another unit; what leaves first is
what was asked for least recently.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from numpy.typing import NDArray

from topfive.backends.base import Row
from topfive.ground.drift import Sent
from topfive.observe.cache_metrics import EXPIRED, FULL, RETIRED, CacheMetrics

_ENTRY_BYTES: Final = 900
"""What an entry takes beside its outputs: its key, its places in two orders and the objects around them."""


class Key(NamedTuple):
    """What decides the answer to one image.

    `unit`: the number of what answers, never given twice. `height`, `width`: of raw pixels; 0 for a file, which tells
    its own. `digest`: the SHA-256 of the image's bytes. The parts are compared one by one, so that none can be taken
    for a part of another.
    """

    unit: int
    height: int
    width: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """What one image was answered, and the image as it was sent."""

    row: Row
    sent: Sent


_Key = tuple[int, int, int, bytes]
_Entry = tuple[tuple[tuple[str, NDArray[Any]], ...], str, int, int, float]
"""The outputs with their names, the image's form and pixels, what it counts, and when it expires.

Keys and entries are kept as plain tuples, all the way down to numbers, texts and arrays: these the garbage collector
soon leaves alone. Dictionaries and objects it would visit, and nobody is answered meanwhile: for 15 ms instead of 2, of
38 000 entries.
"""


class AnswerCache:
    """Answers by key, of all models; `now`: the clock, in monotonic seconds."""

    def __init__(self, *, max_bytes: int, max_seconds: float, now: Callable[[], float], metrics: CacheMetrics) -> None:
        self.metrics = metrics
        self.nbytes = 0
        self._max_bytes = max_bytes
        self._max_seconds = max_seconds
        self._now = now
        self._units: dict[Hashable, int] = {}
        self._given = 0
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()  # the first was asked for least recently
        self._by_age: OrderedDict[_Key, float] = OrderedDict()  # when each expires; the first is the oldest

    def __len__(self) -> int:
        return len(self._entries)

    def serve(self, units: Collection[Hashable]) -> None:
        """Say which units answer from now on; the entries of all others go at once, and none is taken for them."""
        self._units, before = {}, self._units
        for unit in units:
            if unit not in before:
                self._given += 1
            self._units[unit] = before.get(unit, self._given)
        alive = set(self._units.values())
        gone = [key for key in self._entries if key[0] not in alive]
        for key in gone:
            self._remove(key)
        self.metrics.evicted(RETIRED, len(gone))

    def number_of(self, unit: Hashable) -> int | None:
        """The number of `unit` in keys; None if it answers only what had come before it was replaced."""
        return self._units.get(unit)

    def get(self, key: Key) -> Answered | None:
        """The answer to `key`, None if there is none; it was asked for just now."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        outputs, form, pixels, _, expires = entry
        if expires <= self._now():
            self.expire()
            return None
        self._entries.move_to_end(key)
        return Answered(dict(outputs), Sent(form, pixels))

    def put(self, key: Key, row: Row, sent: Sent) -> None:
        """Keep a copy of `row`, unless it is larger than the whole cache, or its unit was replaced meanwhile."""
        self.expire()
        outputs = tuple((name, _own(output)) for name, output in row.items())
        nbytes = _ENTRY_BYTES + sum(_size(output) for _, output in outputs)
        if nbytes > self._max_bytes or key.unit not in self._units.values():
            return
        if key in self._entries:  # two equal images ran at once
            self._remove(key)
        evicted = 0
        while self.nbytes + nbytes > self._max_bytes:
            self._remove(next(iter(self._entries)))
            evicted += 1
        self.metrics.evicted(FULL, evicted)
        expires = self._now() + self._max_seconds
        plain = (key.unit, key.height, key.width, key.digest)
        self._entries[plain] = (outputs, sent.form, sent.pixels, nbytes, expires)
        self._by_age[plain] = expires
        self.nbytes += nbytes

    def expire(self) -> None:
        """Let go of what is too old; call it now and then, so that it does not keep its memory."""
        now, expired = self._now(), 0
        while self._by_age and (oldest := next(iter(self._by_age.items())))[1] <= now:
            self._remove(oldest[0])
            expired += 1
        self.metrics.evicted(EXPIRED, expired)

    def _remove(self, key: _Key) -> None:
        self.nbytes -= self._entries.pop(key)[3]
        del self._by_age[key]


def _own(output: NDArray[Any]) -> NDArray[Any]:
    """A copy that nobody changes: a row is a view, which keeps the outputs of its whole batch."""
    copy = output.copy()
    copy.setflags(write=False)
    return copy


def _size(output: NDArray[Any]) -> int:
    """Bytes of an output that owns its data, with the labels in it."""
    labels = output.ravel().tolist() if output.dtype.hasobject else ()
    return sys.getsizeof(output) + sum(map(sys.getsizeof, labels))
