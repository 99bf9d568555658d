"""The objectives' file, and the verdict on a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import slo
from loadtests.results import Null, Run
from tests.testkit.stored_run import stored_run
from topfive_loadgen.objectives import Objectives
from topfive_loadgen.verdict import Check, Verdict

RUN = stored_run()
COMMITTED = Path(slo.__file__).with_name("slo.yaml")


def objectives(**sections: Any) -> Objectives:
    return Objectives.model_validate(sections)


def closed(**changed: Any) -> Objectives:
    return objectives(closed=[{"mix": "random", "workers": 8, **changed}])


def only(verdict: Verdict, name: str) -> Check:
    found = [check for check in verdict.checks if check.name == name]
    assert len(found) == 1, [check.name for check in verdict.checks]
    return found[0]


def with_cell(**changed: Any) -> Run:
    """The run with its cell random × 8 changed."""
    cells = [replace(c, **changed) if (c.mix, c.workers) == ("random", 8) else c for c in RUN.closed]
    return replace(RUN, closed=cells)


def test_the_committed_objectives_are_met_by_a_run_as_it_should_be() -> None:
    verdict = slo.judge(RUN, slo.load(COMMITTED))
    assert (verdict.outcome, verdict.exit_code, verdict.reasons) == ("PASS", 0, [])
    assert len(verdict.checks) > 20


def test_a_slower_service_fails_with_the_figure_and_what_was_wanted() -> None:
    verdict = slo.judge(stored_run(speed=0.3), closed(p99_ms=120, min_throughput=120))
    assert (verdict.outcome, verdict.exit_code) == ("FAIL", 1)
    assert len(verdict.reasons) == 2
    assert verdict.reasons[0].startswith("random × 8: p99: ")
    assert verdict.reasons[0].endswith(" ms, wanted at most 120 ms")
    assert "throughput: " in verdict.reasons[1]
    assert verdict.reasons[1].endswith("/s, wanted at least 120/s")


@given(wanted=st.floats(min_value=1, max_value=1000))
def test_a_bound_is_met_where_the_figure_is_on_its_right_side(wanted: float) -> None:
    verdict = slo.judge(RUN, closed(p99_ms=wanted, min_throughput=wanted))
    cell = next(c for c in RUN.closed if (c.mix, c.workers) == ("random", 8))
    assert cell.latency is not None
    assert only(verdict, "random × 8: p99").met == (cell.latency.p99 * 1000 <= wanted)
    assert only(verdict, "random × 8: throughput").met == (cell.throughput >= wanted)


@pytest.mark.parametrize(
    "wanted",
    [
        {"closed": [{"mix": "random", "workers": 32, "p99_ms": 1000}]},
        {"closed": [{"mix": "random", "workers": 32, "min_throughput": 1}]},
        {"closed": [{"mix": "random", "workers": 32}]},  # the error ratio alone
        {"open": [{"mix": "random", "rate": 41, "p99_ms": 1000}]},
        {"open": [{"mix": "complex", "rate": 40, "p99_ms": 1000}]},
        {"capacity": [{"mix": "random", "p99_ms": 51, "min_rate": 1}]},
    ],
    ids=str,
)
def test_what_was_not_measured_is_never_met(wanted: dict[str, Any]) -> None:
    verdict = slo.judge(RUN, objectives(**wanted))
    assert (verdict.outcome, verdict.exit_code) == ("INVALID", 2)
    assert {check.met for check in verdict.checks} == {None}
    assert all("not measured" in reason for reason in verdict.reasons)


def test_a_scenario_that_was_not_sent_is_not_met() -> None:
    verdict = slo.judge(with_cell(scenarios={}), closed(scenario="oip", p99_ms=1000))
    assert (verdict.outcome, only(verdict, "random × 8 oip: p99").note) == ("INVALID", "no right answer")


def test_memory_that_was_not_told_is_not_met() -> None:
    silent = replace(RUN, closed=(), open=(), capacities=(), moments=())
    verdict = slo.judge(silent, objectives(memory={"max_resident_mb": 10_000}))
    assert (verdict.outcome, verdict.checks[0].met) == ("INVALID", None)


def test_the_most_memory_of_the_whole_run_counts() -> None:
    most = replace(RUN.moments[-1], resident_bytes=5e9)
    verdict = slo.judge(replace(RUN, moments=[*RUN.moments, most]), objectives(memory={"max_resident_mb": 4000}))
    assert (verdict.outcome, verdict.checks[0].seen) == ("FAIL", 5000)


def test_nothing_of_an_unsettled_cell_is_met() -> None:
    verdict = slo.judge(with_cell(settled=False), closed(p99_ms=10_000, min_throughput=1))
    assert verdict.outcome == "INVALID"
    assert {check.met for check in verdict.checks} == {None}
    assert all("never agreed" in reason for reason in verdict.reasons)


def test_errors_are_missed_even_where_a_cell_never_settled() -> None:
    verdict = slo.judge(with_cell(settled=False, errors={"timeout": 900}), closed())
    assert (verdict.outcome, verdict.checks[0].met) == ("FAIL", False)


def test_fast_errors_do_not_meet_an_objective_that_names_no_error_ratio() -> None:
    assert slo.judge(with_cell(errors={"503 queue_full": 100}), closed(p99_ms=1000)).outcome == "FAIL"


def test_no_right_answer_at_all_fails() -> None:
    verdict = slo.judge(with_cell(latency=None, throughput=0, errors={"no answer": 9}), closed(p99_ms=1000))
    assert (verdict.outcome, only(verdict, "random × 8: p99").met) == ("FAIL", None)


@pytest.mark.parametrize(
    ("count", "outcome", "reason"),
    [(1000, "PASS", ""), (999, "PASS", "of 999 samples only"), (99, "INVALID", "of 99 samples only")],
)
def test_a_p99_of_few_samples_is_doubted_and_of_too_few_not_met(count: int, outcome: str, reason: str) -> None:
    latency = RUN.closed[3].latency
    assert latency is not None
    verdict = slo.judge(with_cell(latency=replace(latency, count=count)), closed(p99_ms=1000))
    assert (verdict.outcome, only(verdict, "random × 8: p99").note) == (outcome, reason)


def test_an_invalid_run_is_invalid_whatever_it_meets_or_misses() -> None:
    faulty = replace(RUN, faults=["the server was restarted"])
    for wanted in (closed(p99_ms=1000), closed(p99_ms=1)):
        verdict = slo.judge(faulty, wanted)
        assert (verdict.outcome, verdict.exit_code) == ("INVALID", 2)
        assert verdict.reasons[0] == "the run: the server was restarted"


def test_what_is_missed_counts_more_than_what_was_not_measured() -> None:
    wanted = objectives(
        closed=[{"mix": "random", "workers": 8, "p99_ms": 1}, {"mix": "random", "workers": 32, "p99_ms": 1}]
    )
    assert slo.judge(RUN, wanted).outcome == "FAIL"


def test_an_open_loop_that_fell_behind_is_not_met() -> None:
    late = replace(RUN, open=[replace(RUN.open[0], faults=["the generator fell behind"])])
    verdict = slo.judge(late, objectives(open=[{"mix": "random", "rate": 40, "p99_ms": 1000}]))
    assert verdict.outcome == "INVALID"
    assert all("fell behind" in reason for reason in verdict.reasons)


def test_each_open_loop_at_the_rate_counts() -> None:
    latency = RUN.open[0].latency
    assert latency is not None
    twice = replace(RUN, open=[RUN.open[0], replace(RUN.open[0], latency=replace(latency, p99=9.0))])
    assert slo.judge(twice, objectives(open=[{"mix": "random", "rate": 40, "p99_ms": 1000}])).outcome == "FAIL"


def test_a_capacity_that_no_rate_meets_fails() -> None:
    none = replace(RUN, capacities=[replace(RUN.capacities[0], rate=None)])
    verdict = slo.judge(none, objectives(capacity=[{"mix": "random", "p99_ms": 50, "min_rate": 10}]))
    assert (verdict.outcome, verdict.checks[0].note) == ("FAIL", "no rate met it")


def test_an_invalid_capacity_is_not_met() -> None:
    faulty = replace(RUN, capacities=[replace(RUN.capacities[0], faults=["the search did not end"])])
    verdict = slo.judge(faulty, objectives(capacity=[{"mix": "random", "p99_ms": 50, "min_rate": 10}]))
    assert (verdict.outcome, verdict.checks[0].note) == ("INVALID", "the search did not end")


def test_a_rate_beyond_the_generators_own_ceiling_is_not_met() -> None:
    assert RUN.null is not None
    assert RUN.null.ceiling is not None
    wanted = objectives(open=[{"mix": "random", "rate": 80, "p99_ms": 1000}])
    for ceiling in (replace(RUN.null.ceiling, rate=60.0), None):
        verdict = slo.judge(replace(RUN, null=replace(RUN.null, ceiling=ceiling)), wanted)
        assert verdict.outcome == "INVALID"
        assert "the generator" in verdict.checks[0].note


def test_a_figure_near_the_generators_own_limit_is_noted() -> None:
    assert RUN.null is not None
    assert slo.judge(RUN, closed()).notes == []
    near = [replace(cell, throughput=250.0) if cell.workers == 8 else cell for cell in RUN.null.closed]
    (note,) = slo.judge(replace(RUN, null=replace(RUN.null, closed=near)), closed()).notes
    assert note.startswith("random × 8: ")
    assert "the client may limit" in note


def test_that_the_generators_limits_are_not_known_is_noted() -> None:
    (note,) = slo.judge(replace(RUN, null=None), closed()).notes
    assert "null backend was not measured" in note
    assert slo.judge(replace(RUN, null=Null(closed=(), floor=None, ceiling=None)), closed()).outcome == "PASS"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no objectives"),
        ("closed: []", "no objectives"),
        ("closed: [", "cannot be read as YAML"),
        ("- 1", "it must have fields, as NAME: VALUE"),
        ("closed: [{mix: random, workers: 8, p99: 5}]", r"closed\[0\]\.p99: there is no such field"),
        ("closed: [{workers: 8, p99_ms: 5}]", r"closed\[0\]\.mix: it is missing; add it"),
        ("closed: [{mix: hard, workers: 8}]", r"closed\[0\]\.mix: Input should be 'random' or 'complex'"),
        ("closed: [{mix: random, workers: 8, p99_ms: fast}]", r"closed\[0\]\.p99_ms: .*number"),
        ("closed: [{mix: random, workers: 8, p99_ms: -1}]", r"closed\[0\]\.p99_ms: .*greater than 0"),
        ("closed: [{mix: random, workers: 8, p99_ms: .inf}]", r"closed\[0\]\.p99_ms: .*finite"),
        ("closed: [{mix: random, workers: yes}]", r"closed\[0\]\.workers: .*integer"),
        ("closed: [{mix: random, workers: 1, scenario: raw, min_throughput: 5}]", "without `scenario`"),
        ("memory: {max_resident_mb: 5}\nmemory: {max_resident_mb: 6}", "'memory' is given twice"),
    ],
)
def test_objectives_that_are_none_say_where_and_what_to_do(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(slo.BadObjectives, match=told) as raised:
        slo.load(path)
    assert "mine.yaml" in str(raised.value)


def test_objectives_that_are_not_there_say_so(tmp_path: Path) -> None:
    with pytest.raises(slo.BadObjectives, match=r"missing\.yaml"):
        slo.load(tmp_path / "missing.yaml")
