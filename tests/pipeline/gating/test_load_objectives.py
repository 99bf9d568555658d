"""Objectives of slo.yaml, held against what a gate measured: met, missed, or unknown with the reason."""

from __future__ import annotations

from typing import Any

import pytest

from tests.pipeline.gating.loads import EIGHT, load, measured
from topfive_pipeline.gating import load_objectives
from topfive_pipeline.gating.findings import Finding
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import Load

AT_50 = Cell("random", rate=50.0)


def held(*loads: Load, cell: Cell = EIGHT, **slo: Any) -> dict[str, Finding]:
    found = measured(loads, loads, cell=cell, **slo)
    assert found.plan.objectives is not None
    return {each.name: each for each in load_objectives.findings(found, "random", found.plan.objectives)}


def closed(**changed: Any) -> list[dict[str, Any]]:
    return [{"mix": "random", "workers": 8, **changed}]


def test_latencies_throughput_and_errors_of_the_candidate_are_judged() -> None:
    told = held(load(0.05), load(0.05), closed=closed(p50_ms=60, p99_ms=40, min_throughput=150))
    assert {name: finding.met for name, finding in told.items()} == {
        "random × 8: p50": True,
        "random × 8: p99": False,
        "random × 8: throughput": True,
        "random × 8: error ratio": True,
    }
    assert (told["random × 8: p99"].seen, told["random × 8: p99"].wanted) == ("50.0 ms", "≤ 40 ms")
    assert told["random × 8: p99"].note == "of 400 answers only"


def test_failures_count_against_the_error_ratio_and_the_throughput() -> None:
    told = held(load(0.05, failures={"429 queue_full": 200}), closed=closed(min_throughput=150, max_error_ratio=0.1))
    assert told["random × 8: error ratio"].met is False
    assert told["random × 8: error ratio"].reasons == ("200 × 429 queue_full",)
    assert (told["random × 8: throughput"].met, told["random × 8: throughput"].seen) == (False, "80.0/s")


def test_a_scenario_is_judged_by_its_own_queries() -> None:
    """Queries alternate between raw and jpeg, and the latter take ten times as long."""
    slow_jpegs = load([0.01, 0.1])
    told = held(slow_jpegs, closed=[*closed(scenario="raw", p99_ms=20), *closed(scenario="jpeg", p99_ms=20)])
    assert (told["random × 8 raw: p99"].met, told["random × 8 jpeg: p99"].met) == (True, False)


@pytest.mark.parametrize(
    ("slo", "name", "why"),
    [
        ({"closed": closed(scenario="grpc", p99_ms=9)}, "random × 8 grpc: p99", "the gate sends no requests of this"),
        ({"closed": closed(workers=3, p99_ms=9)}, "random × 3: p99", "not among the loads of this gate"),
        (
            {"capacity": [{"mix": "random", "p99_ms": 9, "min_rate": 9}]},
            "random: capacity at p99 ≤ 9 ms",
            "find-capacity",
        ),
    ],
)
def test_what_the_gate_does_not_measure_is_unknown(slo: dict[str, Any], name: str, why: str) -> None:
    finding = held(load(0.05), **slo)[name]
    assert finding.met is None
    assert why in finding.note


def test_few_answers_tell_no_tail() -> None:
    told = held(load(0.05, count=60), closed=closed(p50_ms=60, p99_ms=60))
    assert told["random × 8: p50"].met is True
    assert (told["random × 8: p99"].met, told["random × 8: p99"].note) == (None, "of 60 answers only")


def test_an_open_objective_is_a_load_of_its_own() -> None:
    told = held(load(0.05), cell=AT_50, open=[{"mix": "random", "rate": 50, "p99_ms": 60}])
    assert (told["random at 50/s: p99"].met, told["random at 50/s: error ratio"].met) == (True, True)
    late = held(
        load(0.05, fault="the generator fell behind"), cell=AT_50, open=[{"mix": "random", "rate": 50, "p99_ms": 60}]
    )
    assert (late["random at 50/s: p99"].met, late["random at 50/s: p99"].note) == (None, "the generator fell behind")


def test_other_mixes_are_told_elsewhere() -> None:
    assert held(load(0.05), closed=[{"mix": "complex", "workers": 8, "p99_ms": 9}]) == {}
