"""The answer cache keeps within its bytes and its seconds, forgets the least recently asked, and mixes nothing up."""

from __future__ import annotations

import gc
import tracemalloc
from collections import OrderedDict
from functools import cache as cached
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from prometheus_client import CollectorRegistry

from tests.testkit.fakes import FakeClock
from topfive.backends.base import Row
from topfive.ground.drift import RAW, Sent
from topfive.observe.cache_metrics import EXPIRED, FULL, RETIRED, CacheMetrics
from topfive.request.answer_cache import AnswerCache, Key

SECONDS = 10.0
SENT = Sent(RAW, 4)
UNITS = ("first", "second", "third")


def make(max_bytes: int = 1 << 20, clock: FakeClock | None = None) -> AnswerCache:
    cache = AnswerCache(
        max_bytes=max_bytes,
        max_seconds=SECONDS,
        now=(clock or FakeClock()).now,
        metrics=CacheMetrics(CollectorRegistry()),
    )
    cache.serve(UNITS[:1])
    return cache


def row(value: int, numbers: int = 0) -> Row:
    return {"classes": np.array([f"value {value:6}"], object), "embedding": np.full(numbers, value, np.float32)}


def key(cache: AnswerCache, image: int, unit: str = UNITS[0]) -> Key:
    number = cache.number_of(unit)
    assert number is not None
    return Key(number, 0, 0, image.to_bytes(32))


def label(cache: AnswerCache, image: int, unit: str = UNITS[0]) -> str | None:
    found = cache.get(key(cache, image, unit))
    return None if found is None else " ".join(found.row["classes"][0].split())


@cached
def size_of(numbers: int) -> int:
    """What an entry with so many numbers counts."""
    alone = make()
    alone.put(key(alone, 0), row(0, numbers), SENT)
    return alone.nbytes


def evicted(cache: AnswerCache, reason: str) -> float:
    return float(cache.metrics.evictions.labels(reason)._value.get())


class CacheMachine(RuleBasedStateMachine):
    """Answers come and are asked for, time passes and models change, against a list in the order of the last use."""

    @initialize(room=st.integers(1, 5))
    def start(self, room: int) -> None:
        self.clock = FakeClock()
        self.most = room * size_of(0) + 100
        self.cache = make(self.most, self.clock)
        self.serving: list[str] = [UNITS[0]]
        self.known: OrderedDict[Key, tuple[int, int, float]] = OrderedDict()
        self.retired: list[Key] = []
        self.made = 0

    @rule(data=st.data(), image=st.integers(0, 3), numbers=st.sampled_from([0, 0, 200, 1000]))
    def put(self, data: st.DataObject, image: int, numbers: int) -> None:
        at = key(self.cache, image, data.draw(st.sampled_from(self.serving)))
        self.made += 1
        self.cache.put(at, row(self.made, numbers), SENT)
        self._expire()
        if size_of(numbers) <= self.most:
            self.known.pop(at, None)
            while sum(size for _, size, _ in self.known.values()) + size_of(numbers) > self.most:
                self.known.popitem(last=False)
            self.known[at] = (self.made, size_of(numbers), self.clock.time + SECONDS)

    @rule(data=st.data(), image=st.integers(0, 3))
    def get(self, data: st.DataObject, image: int) -> None:
        at = key(self.cache, image, data.draw(st.sampled_from(self.serving)))
        self._expire()
        found, expected = self.cache.get(at), self.known.get(at)
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert found.row["classes"][0].split() == ["value", str(expected[0])]
            self.known.move_to_end(at)

    @rule(seconds=st.sampled_from([0.5, 4.0, SECONDS]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(units=st.sets(st.sampled_from(UNITS), min_size=1))
    def change_models(self, units: set[str]) -> None:
        """A unit that goes and comes again is another one; what ran for the old one is answered late."""
        before = {unit: self.cache.number_of(unit) for unit in UNITS}
        self.cache.serve(units)
        for at in [at for at in self.known if at.unit not in {self.cache.number_of(unit) for unit in units}]:
            del self.known[at]
            self.retired.append(at)
        self.serving = sorted(units)
        for unit in units:
            assert (self.cache.number_of(unit) == before[unit]) == (before[unit] is not None)

    @rule(data=st.data())
    def put_late(self, data: st.DataObject) -> None:
        if self.retired:
            at = data.draw(st.sampled_from(self.retired))
            self.cache.put(at, row(0), SENT)
            self._expire()
            assert self.cache.get(at) is None

    def _expire(self) -> None:
        for at in [at for at, (_, _, expires) in self.known.items() if expires <= self.clock.time]:
            del self.known[at]

    @invariant()
    def it_holds_what_it_says_and_no_more_than_it_may(self) -> None:
        if hasattr(self, "cache"):
            self.cache.expire()
            self._expire()
            assert len(self.cache) == len(self.known)
            assert self.cache.nbytes == sum(size for _, size, _ in self.known.values()) <= self.most


TestCache = CacheMachine.TestCase
TestCache.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_what_leaves_is_counted_by_its_reason() -> None:
    clock = FakeClock()
    cache = make(2 * size_of(0), clock)
    for image in range(3):
        cache.put(key(cache, image), row(image), SENT)
    assert [label(cache, image) for image in range(3)] == [None, "value 1", "value 2"]
    clock.advance(SECONDS)
    assert label(cache, 1) is None, "asked for or not, an answer is kept for so long and no longer"
    cache.put(key(cache, 5), row(5), SENT)
    cache.serve(UNITS[1:2])
    assert (len(cache), cache.nbytes) == (0, 0)
    assert [evicted(cache, reason) for reason in (FULL, EXPIRED, RETIRED)] == [1, 2, 1]


def test_what_was_asked_for_stays_and_what_was_not_leaves() -> None:
    cache = make(2 * size_of(0))
    for image in range(2):
        cache.put(key(cache, image), row(image), SENT)
    assert label(cache, 0) == "value 0"
    cache.put(key(cache, 2), row(2), SENT)
    assert [label(cache, image) for image in range(3)] == ["value 0", None, "value 2"]


def test_what_comes_late_for_a_unit_that_was_replaced_is_not_kept() -> None:
    cache = make()
    old = key(cache, 0)
    cache.serve(UNITS[1:2])
    cache.put(old, row(0), SENT)
    assert (len(cache), cache.get(old), cache.number_of(UNITS[0])) == (0, None, None)
    cache.serve(UNITS[:2])
    assert label(cache, 0) is None
    assert key(cache, 0) != old, "its number is not given again"


def test_an_answer_that_is_larger_than_the_cache_drives_nothing_out() -> None:
    cache = make(size_of(0))
    cache.put(key(cache, 0), row(0), SENT)
    cache.put(key(cache, 1), row(1, numbers=1), SENT)
    assert (label(cache, 0), label(cache, 1)) == ("value 0", None)


def test_the_same_image_answered_twice_at_once_counts_once() -> None:
    cache = make()
    for _ in range(2):
        cache.put(key(cache, 0), row(0), SENT)
    assert (len(cache), cache.nbytes) == (1, size_of(0))


def test_an_answer_does_not_keep_its_batch_and_cannot_be_changed() -> None:
    cache, batch = make(), np.zeros((64, 1280), np.float32)
    cache.put(key(cache, 0), {"embedding": batch[3]}, SENT)
    found = cache.get(key(cache, 0))
    assert found is not None
    kept = found.row["embedding"]
    assert kept.base is None
    batch[3] = 1
    assert not kept.any()
    with pytest.raises(ValueError, match="read-only"):
        kept[0] = 1


def test_the_garbage_collector_need_not_visit_the_entries() -> None:
    """Who waits for it to walk through all of them is not answered meanwhile."""
    cache = make()
    before = len(gc.get_objects())
    for image in range(200):
        cache.put(key(cache, image), row(image, 10), Sent(RAW, image))
    gc.collect()
    gc.collect()
    assert len(cache) == 200
    assert len(gc.get_objects()) < before + 50


@pytest.mark.parametrize("numbers", [0, 1280])
def test_what_an_entry_counts_is_what_it_takes(numbers: int) -> None:
    """Labels, embeddings, keys and the cache's own tables, for as many entries as a table has just grown for."""
    cache = make(1 << 30)
    tracemalloc.start()
    try:
        for image in range(1400):
            cache.put(key(cache, image), {**row(image, numbers), "classes": _labels(image)}, Sent(RAW, image + 1000))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.75 * cache.nbytes < taken <= cache.nbytes


def _labels(image: int) -> Any:
    return np.array([f"the label {place} of image {image}" for place in range(5)], object)
