"""Memory is read while a load lasts and once at its end; what could not be read is counted."""

from __future__ import annotations

from itertools import count
from threading import Event

from topfive_pipeline.under_load.resident import Resident, Sampling

NEVER = 1e6
"""Seconds."""


def test_it_is_read_while_the_load_lasts_and_at_its_end() -> None:
    found, often, clock = Resident(), Event(), count()
    sizes = count(100)

    def read() -> float:
        size = next(sizes)
        if size == 102:
            often.set()
        return size

    with Sampling(read, found, seconds=0.0, clock=lambda: next(clock)):
        assert often.wait(10)
    assert [at for at, _ in found.samples] == list(range(len(found.samples)))
    assert [size for _, size in found.samples] == list(range(100, 100 + len(found.samples)))
    assert len(found.samples) >= 4


def test_a_short_load_is_read_once() -> None:
    found = Resident()
    with Sampling(lambda: 7.0, found, seconds=NEVER, clock=lambda: 1.5):
        pass
    assert found.samples == [(1.5, 7.0)]


def test_a_server_that_does_not_tell_is_counted_with_its_reason() -> None:
    found = Resident()

    def read() -> float:
        raise OSError("nobody there")

    with Sampling(read, found, seconds=NEVER):
        pass
    assert (found.samples, found.missed, found.reason) == ([], 1, "nobody there")
