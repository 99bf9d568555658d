"""A plan is told as it was found: on a page, in Markdown, as data."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.pipeline.planning.given import JPEG, RAW, costs
from topfive_pipeline.planning.contents import Prices, notes, options, summary, to_dict
from topfive_pipeline.planning.planner import Demand, Option, Told
from topfive_pipeline.planning.reports import write
from topfive_pipeline.planning.simulation import Simulated
from topfive_pipeline.under_load.latency_objective import parsed
from topfive_pipeline.under_load.load import Probe


def probe(rate: float, seconds: float, refused: int = 0) -> Probe:
    answers: list[tuple[float, float | None]] = [(0.0, seconds)] * 100
    answers += [(0.0, None)] * refused
    return Simulated(seconds=1.0, answers=answers, busy=0.5, batches=Counter()).probe(rate)


@pytest.fixture
def told() -> Told:
    """Seven servers hold it, at half their capacity; at twice the rate it is missed."""
    known = costs(kinds=(RAW, JPEG), alone=(0.006,))
    chosen = Option(costs=known, replicas=7, gpus=0, probe=probe(500, 0.03), busy=0.5)
    none = Option(costs=costs(cores=4), replicas=0, gpus=0, probe=probe(500, 0.09), busy=0.1)
    return Told(
        demand=Demand(rate=500, objective=parsed("p99:50ms")),
        options=[none, chosen],
        chosen=chosen,
        curve=[probe(250, 0.02), probe(500, 0.03), probe(1000, 0.9, refused=50)],
        spare=replace(chosen, replicas=8),
        lost=probe(500, 0.04),
        rollout=probe(500, 0.06),
    )


def test_the_answer_is_a_sentence(told: Told) -> None:
    assert summary(told) == (
        "500 images/s within p99:50ms: 7 servers of 1 cores, batches of 1 at most, and one more to bear the loss of one"
    )
    failed = replace(told, chosen=None)
    assert summary(failed) == (
        "500 images/s within p99:50ms: no number of these servers holds it; the shortest p99 is 30.0 ms"
    )


def test_what_it_costs_is_of_all_servers(told: Told) -> None:
    rows = options(told, Prices(core=0.05)).rows
    assert rows[0][2] == "not at any number"
    assert rows[1][-1] == f"{0.05 * 7 * 730:.0f}"


def test_all_of_it_is_written(told: Told, tmp_path: Path) -> None:
    files = write(told, Prices(core=0.05), tmp_path)
    assert [file.name for file in files] == ["plan.json", "report.md", "report.html"]
    found = json.loads(files[0].read_text(encoding="utf-8"))
    assert found == json.loads(json.dumps(to_dict(told, Prices(core=0.05))))
    assert found["chosen"]["servers"] == 7
    assert found["curve"][2]["failed_share"] == pytest.approx(1 / 3)
    page = files[2].read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    assert "no more than a slot" in notes(told)[0]
    for file in files[1:]:
        text = file.read_text(encoding="utf-8")
        assert "ten seconds from the loss of one on" in text
        assert "33.33%" in text
