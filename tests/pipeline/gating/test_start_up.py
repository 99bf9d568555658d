"""A start is judged by medians: some longer is nobody's business, twice as long is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating import start_up
from topfive_pipeline.gating.contestants import Contestant, Pair
from topfive_pipeline.gating.load_plan import LoadPlan
from topfive_pipeline.proof.served import Served

ONE = Contestant(title="m:1", url="http://127.0.0.1:1", model="m", repository=Path("somewhere"))
PAIR = Pair(replace(ONE, repository=Path("another")), ONE)


def test_medians_are_compared_and_a_second_is_free() -> None:
    assert start_up.judged([2.4, 9.0, 2.0], [1.0, 0.9, 1.1]).met is True
    slow = start_up.judged([2.6, 9.0, 2.55], [1.0, 0.9, 1.1])
    assert (slow.met, slow.seen) == (False, "2.6 s beside 1.0 s")
    assert slow.wanted.startswith("≤ 2.5 s")


def test_starts_come_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    @contextmanager
    def serve(repository: Path, _: Sequence[str]) -> Iterator[Served]:
        started.append(repository.name)
        yield Served(1)

    monkeypatch.setattr(start_up, "serve", serve)
    clock = count()
    found = start_up.chapter(PAIR, LoadPlan(photos=(), starts=2), lambda _: None, clock=lambda: next(clock))
    assert started == ["another", "somewhere", "somewhere", "another"]
    assert found.tables[0].rows == (("candidate", "1.00", "1.00", "1.00"), ("live", "1.00", "1.00", "1.00"))


@pytest.mark.parametrize(("fails", "met"), [("another", False), ("somewhere", None)])
def test_a_server_that_does_not_start_again_is_told(
    monkeypatch: pytest.MonkeyPatch, fails: str, met: bool | None
) -> None:
    @contextmanager
    def serve(repository: Path, _: Sequence[str]) -> Iterator[Served]:
        if repository.name == fails:
            raise ConfigurationError("no memory")
        yield Served(1)

    monkeypatch.setattr(start_up, "serve", serve)
    (finding,) = start_up.chapter(PAIR, LoadPlan(photos=()), lambda _: None).findings
    assert (finding.met, finding.note) == (met, "no memory")
