"""Memory over the loads: its peak, and whether it grows with the requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.gating.loads import PLAN, load, measured, remember
from topfive_pipeline.gating import memory
from topfive_pipeline.gating.findings import Finding
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import ROLES

ROUNDS = 8
FLAT = [300.0, 310.0, 309.0, 311.0, 310.0, 309.0, 311.0, 310.0]
CELLS = [Cell("random", workers=workers) for workers in (1, 2, 4)]


def told(candidate: list[float], live: list[float], **slo: Any) -> dict[str, Finding]:
    rounds = [load(0.05, count=1000)] * ROUNDS
    found = measured(rounds, rounds, plan=PLAN, **slo)
    remember(found, "candidate", candidate)
    remember(found, "live", live)
    return {finding.name: finding for finding in memory.chapter(found).findings}


def growing(per_round: float) -> list[float]:
    return [size + per_round * number for number, size in enumerate(FLAT)]


def test_the_same_memory_meets_all() -> None:
    found = told(FLAT, FLAT, memory={"max_resident_mb": 400})
    assert [(finding.name, finding.met) for finding in found.values()] == [
        ("peak memory", True),
        ("peak memory beside live", True),
        ("memory growth", True),
    ]
    assert found["peak memory"].seen == "311 MB"


def test_a_peak_above_the_objective_or_far_above_the_live_version_is_missed() -> None:
    more = [size + 100 for size in FLAT]
    found = told(more, FLAT, memory={"max_resident_mb": 400})
    assert (found["peak memory"].met, found["peak memory beside live"].met) == (False, False)
    assert found["peak memory beside live"].wanted == "≤ 373 MB, 1.20 times the live version's 311 MB"


def test_a_candidate_that_alone_grows_is_missed() -> None:
    finding = told(growing(20), FLAT)["memory growth"]
    assert finding.met is False
    assert finding.seen.startswith("+1")
    assert finding.note.startswith("it grows; the live version: ")


def test_what_fills_up_once_is_no_leak() -> None:
    """As in a gate of one graph against itself, in which the live version had filled up before."""
    filled = [362.0, 500.0, 501.0, 504.0, 549.0, 550.0, 551.0, 552.0]
    finding = told(filled, [371.0, *[541.0] * 7])["memory growth"]
    assert finding.met is True
    assert finding.note.endswith("; in some rounds only, as what fills up does, and no leak")
    leaking = [362.0, *(500.0 + 9 * number for number in range(7))]
    assert told(leaking, [371.0, *[541.0] * 7])["memory growth"].met is False


def test_one_that_grows_as_the_live_version_does_is_no_worse_and_is_told() -> None:
    finding = told(growing(20), growing(20))["memory growth"]
    assert finding.met is True
    assert finding.note.startswith("it grows; the live version: +")


def test_a_server_that_tells_no_memory_leaves_it_unknown() -> None:
    found = measured([load(0.05)], [load(0.05)], memory={"max_resident_mb": 400})
    for role in ROLES:
        found.memory[role].missed, found.memory[role].reason = 2, "http://x/metrics answers 404"
    chapter = memory.chapter(found)
    assert {finding.met for finding in chapter.findings} == {None}
    assert {finding.note for finding in chapter.findings} == {"http://x/metrics answers 404"}
    assert "The live version's memory: 2 of 2 readings failed: http://x/metrics answers 404." in chapter.notes
    assert (chapter.tables, chapter.plots) == ((), ())


def test_two_rounds_are_too_few_to_tell_a_growth() -> None:
    found = measured([load(0.05)] * 2, [load(0.05)] * 2)
    remember(found, "candidate", [300, 310])
    remember(found, "live", [300, 310])
    finding = {each.name: each for each in memory.chapter(found).findings}["memory growth"]
    assert (finding.met, finding.note) == (None, "too few loads came again after the first round")


slopes = st.floats(min_value=-5.0, max_value=5.0)
levels = st.lists(st.floats(min_value=100, max_value=900), min_size=3, max_size=3)


@given(slopes, levels)
def test_growth_is_that_of_each_cell_whatever_their_levels(slope: float, level: list[float]) -> None:
    """Cells differ by hundreds of megabytes, and grow alike."""
    seen = {
        cell: [(at, base + slope * at) for at in (1.0, 2.0, 3.0, 4.0, 5.0)]
        for cell, base in zip(CELLS, level, strict=True)
    }
    found = memory.growth(seen)
    assert found is not None
    assert found.slope == pytest.approx(slope, abs=1e-6)
    assert found.low - 1e-6 <= slope <= found.high + 1e-6


@given(st.lists(st.floats(min_value=100, max_value=900), min_size=6, max_size=9))
def test_the_interval_holds_the_slope(sizes: list[float]) -> None:
    found = memory.growth({CELLS[0]: list(enumerate(sizes))})
    assert found is not None
    assert found.low <= found.slope <= found.high


def test_what_comes_once_or_twice_has_no_growth() -> None:
    assert memory.growth({CELLS[0]: [(1.0, 300.0), (2.0, 301.0)]}) is None
    assert memory.growth({cell: [(1.0, 300.0)] for cell in CELLS}) is None


@given(st.floats(min_value=0.1, max_value=50), st.integers(min_value=0, max_value=3))
def test_a_rise_in_each_round_is_steady_and_one_in_a_single_round_is_not(rise: float, when: int) -> None:
    steady = [(float(at), 300 + rise * at) for at in range(5)]
    once = [(float(at), 300 + rise * (at > when)) for at in range(5)]
    assert memory.steady(dict.fromkeys(CELLS, steady))
    assert not memory.steady(dict.fromkeys(CELLS, once))
    assert not memory.steady({CELLS[0]: steady[:2]})
