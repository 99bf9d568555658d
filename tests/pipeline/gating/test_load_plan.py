"""A plan: which loads, and how long they take."""

from __future__ import annotations

from topfive_pipeline.gating.load_plan import Cell, LoadPlan
from topfive_pipeline.under_load.objectives import Objectives


def test_every_mix_has_its_workers_and_an_open_loop() -> None:
    plan = LoadPlan(photos=())
    titles = [cell.title for cell in plan.cells]
    assert titles[:6] == ["random × 1", "random × 2", "random × 4", "random × 8", "random × 16", "random, open loop"]
    assert [title.replace("complex", "random") for title in titles[6:]] == titles[:6]


def test_rates_of_objectives_are_loads_of_their_own() -> None:
    slo = Objectives.model_validate(
        {"open": [{"mix": "random", "rate": 80}, {"mix": "random", "rate": 80, "p50_ms": 9}]}
    )
    cells = LoadPlan(photos=(), objectives=slo).cells
    assert [cell for cell in cells if cell.rate] == [Cell("random", rate=80.0)]
    assert len({cell.key for cell in cells}) == len(cells)


def test_quick_is_under_two_minutes_and_full_some_minutes() -> None:
    full = LoadPlan(photos=())
    assert 60 < full.quick().expected_seconds < 120
    assert 300 < full.expected_seconds < 720
    assert full.quick().is_quick
