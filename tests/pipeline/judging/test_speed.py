"""Speeds are of one moment: every model runs in every round, in turn, and ratios are shown with their spread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from topfive_pipeline.judging import speed
from topfive_pipeline.judging.speed import Pace, Spread, paces_of
from topfive_pipeline.judging.subjects import find

IMAGES = [np.zeros((16, 40, 3), np.uint8), np.zeros((30, 20, 3), np.uint8)]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "SLICE_SECONDS", 0.001)


def paces(judged_folder: Path, *asked: str, rounds: int = 3, told: Callable[[str], None] = print) -> list[list[Pace]]:
    subjects = find(asked, judged_folder / "repository")
    return paces_of(subjects, IMAGES, batches=(1, 4), cores=2, rounds=rounds, progress=told)


def test_each_case_has_a_pace_for_each_model(judged_folder: Path) -> None:
    told: list[str] = []
    first, other = paces(judged_folder, "pets:1", "pets:3", told=told.append)
    assert [(pace.case, pace.batch) for pace in first] == [("alone", 1), ("batch 1", 1), ("batch 4", 4)]
    assert all(pace.ratio == Spread(1, 1, 1) for pace in first)
    assert all(len(pace.rounds) == 3 and min(pace.rounds) > 0 for pace in (*first, *other))
    assert told[0] == "speed, alone: round 1 of 3"
    assert told[-1] == "speed, batch 4: round 3 of 3"


def test_a_ratio_is_of_the_same_round(judged_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine becomes slower from run to run, by far more than the models differ: the ratios do not see it."""
    order: list[str] = []

    class Fake:
        def __init__(self, subject: object, *_: object, **__: object) -> None:
            self.title = subject.title  # type: ignore[attr-defined]

        def prepare(self, *_: object, **__: object) -> Callable[[int], float]:
            def run(_: int) -> float:
                order.append(self.title)
                return (2.0 ** (len(order) // 3)) / {"pets:1": 1, "pets:2": 2, "pets:3": 4}[self.title]

            return run

        def close(self) -> None:
            pass

    monkeypatch.setattr(speed, "_Runner", Fake)
    found = paces(judged_folder, "pets:1", "pets:2", "pets:3", rounds=3)
    alone = [each[0] for each in found]
    assert order[6:15] == ["pets:1", "pets:2", "pets:3", "pets:3", "pets:1", "pets:2", "pets:2", "pets:3", "pets:1"]
    assert [pace.ratio.median for pace in alone] == [1, 2, 4]
    assert alone[0].seconds.high > 1.4 * alone[0].seconds.low


def test_a_spread_is_the_median_and_the_middle_half() -> None:
    assert speed._spread(np.array([5.0, 1, 2, 3, 4])) == Spread(3, 2, 4)


def test_batches_that_take_long_are_run_in_fewer_rounds() -> None:
    assert [speed._rounds(11, seconds) for seconds in (0.3, 3.6, 5, 20, 600)] == [11, 11, 8, 3, 3]
    assert speed._rounds(1, 600) == 1
