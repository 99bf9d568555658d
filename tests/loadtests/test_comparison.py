"""What counts as a change between two runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.comparison import CPU, P50, P90, P99, RESIDENT, THROUGHPUT, Change, compare, differences
from loadtests.results import Run
from tests.testkit.stored_run import stored_run

RUN = stored_run()
FASTER = stored_run("faster", speed=1.5)


def one_cell(run: Run = RUN, **changed: Any) -> Run:
    """A run of random × 8 alone, with some of it changed."""
    cell = next(cell for cell in run.closed if (cell.mix, cell.workers) == ("random", 8))
    return replace(run, closed=[replace(cell, **changed)], open=(), capacities=())


def of(changes: Sequence[Change], what: str) -> Change:
    found = [change for change in changes if change.what == what]
    assert len(found) == 1, [change.what for change in changes]
    return found[0]


def windows(throughputs: Sequence[float]) -> dict[str, Any]:
    """As a cell has them with these images per second in its windows."""
    window = one_cell().closed[0].windows[0]
    made = [replace(window, count=round(each * window.seconds)) for each in throughputs]
    return {"windows": made, "agreed": len(made), "throughput": sum(throughputs) / len(throughputs)}


def test_a_run_does_not_differ_from_itself() -> None:
    verdicts = {change.what: change.verdict for change in compare(RUN, RUN)}
    unsettled = {what for what, verdict in verdicts.items() if verdict == "not comparable"}
    assert set(verdicts.values()) == {"within noise", "not comparable"}
    assert {what.split(":")[0] for what in unsettled} == {"complex × 16"}  # the only one that is not settled
    assert differences(RUN, RUN) == []


def test_a_faster_run_is_better_in_all_that_depends_on_speed() -> None:
    changes = [change for change in compare(FASTER, RUN) if change.subject in {"random × 4", "complex × 2"}]
    assert {c.figure for c in changes if c.verdict == "better"} == {THROUGHPUT, P50, P90, P99, CPU}
    assert of(compare(FASTER, RUN), "random × 4: throughput").ratio == pytest.approx(1.5, rel=0.05)


def test_and_the_other_way_round_it_is_worse() -> None:
    changes = [change for change in compare(RUN, FASTER) if change.subject in {"random × 4", "complex × 2"}]
    assert {c.figure for c in changes if c.verdict == "worse"} == {THROUGHPUT, P50, P90, P99, CPU}


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ([100, 102, 104], [124, 126, 128], "better"),
        ([100, 102, 104], [78, 80, 82], "worse"),
        ([100, 102, 104], [113, 115, 117], "within noise"),  # apart, but by less than the same service is from itself
        ([100, 104, 135], [130, 135, 140], "within noise"),  # by more, but the ranges overlap
    ],
)
def test_a_figure_of_windows_changes_if_ranges_are_apart_and_it_is_above_a_fifth(
    before: list[float], after: list[float], verdict: str
) -> None:
    changes = compare(one_cell(**windows(after)), one_cell(**windows(before)))
    assert of(changes, "random × 8: throughput").verdict == verdict


def test_windows_that_did_not_agree_do_not_widen_the_range() -> None:
    warm, cold = windows([100, 101, 102]), windows([150, 100, 101, 102])
    before, after = one_cell(**{**cold, "agreed": 3, "throughput": 101}), one_cell(**windows([140, 141, 142]))
    assert of(compare(after, before), "random × 8: throughput").verdict == "better"
    assert of(compare(one_cell(**warm), before), "random × 8: throughput").verdict == "within noise"


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.19, "within noise"), (1.21, "worse"), (0.81, "within noise"), (0.79, "better")]
)
def test_a_figure_with_one_value_changes_above_a_fifth(factor: float, verdict: str) -> None:
    server = one_cell().closed[0].server
    assert server is not None
    assert server.resident_bytes is not None
    more = replace(server, resident_bytes=server.resident_bytes * factor)
    change = of(compare(one_cell(server=more), one_cell()), "random × 8: peak RSS")
    assert (change.figure, change.verdict) == (RESIDENT, verdict)


@pytest.mark.parametrize(("errors", "verdict"), [(5, "within noise"), (7, "worse")])
def test_errors_are_worse_by_more_than_one_in_a_thousand(errors: int, verdict: str) -> None:
    latency = one_cell().closed[0].latency
    assert latency is not None
    assert 5 / latency.count < 0.001 < 7 / (latency.count + 7)
    changes = compare(one_cell(errors={"timeout": errors}), one_cell(errors={}))
    assert of(changes, "random × 8: error ratio").verdict == verdict


def test_nothing_is_said_of_an_invalid_run() -> None:
    changes = compare(replace(FASTER, faults=["the server died"]), RUN)
    assert {change.verdict for change in changes} == {"not comparable"}
    assert {change.reason for change in changes} == {"this run is INVALID: the server died"}


def test_nothing_is_said_of_an_unsettled_cell() -> None:
    changes = compare(one_cell(FASTER), one_cell(settled=False))
    assert {(change.verdict, change.reason) for change in changes} == {
        ("not comparable", "not settled in the baseline")
    }


def test_nothing_is_said_of_a_p99_of_fewer_than_a_hundred_samples() -> None:
    few = FASTER.closed[0].latency
    assert few is not None
    change = of(compare(one_cell(FASTER, latency=replace(few, count=99)), one_cell()), "random × 8: p99")
    assert (change.verdict, change.reason) == ("not comparable", "p99 of 99 samples in this run")


def test_a_cell_that_one_run_lacks_is_listed() -> None:
    changes = compare(replace(RUN, closed=[]), one_cell())
    lost = [change for change in changes if change.subject == "random × 8"]
    assert len(lost) == 7
    assert {(change.verdict, change.reason) for change in lost} == {("not comparable", "not measured in this run")}


def test_an_objective_that_no_rate_meets_any_more_is_worse() -> None:
    capacity = RUN.capacities[0]
    before = replace(RUN, closed=[], open=(), capacities=[capacity])
    after = replace(before, capacities=[replace(capacity, rate=None)])
    (change,) = compare(after, before)
    assert (change.before, change.after, change.verdict) == (capacity.rate, None, "worse")
    assert "no rate met" in change.reason
    (change,) = compare(before, after)
    assert change.verdict == "better"
    (change,) = compare(after, after)
    assert change.verdict == "within noise"


def test_an_invalid_capacity_is_not_comparable() -> None:
    capacity = RUN.capacities[0]
    before = replace(RUN, closed=[], open=(), capacities=[capacity])
    (change,) = compare(replace(before, capacities=[replace(capacity, rate=900.0, faults=["late"])]), before)
    assert (change.verdict, change.reason) == ("not comparable", "INVALID (late) in this run")


def test_open_loops_are_compared_at_the_same_rate_only() -> None:
    slow = replace(RUN, closed=[], capacities=[], open=[RUN.open[0]])
    other = replace(slow, open=[RUN.open[1]])
    assert of(compare(slow, slow), "random at 40/s: p99").verdict == "within noise"
    assert {change.verdict for change in compare(slow, other)} == {"not comparable"}


def test_what_else_differs_is_listed_but_not_the_commit() -> None:
    assert isinstance(RUN.environment["versions"], dict)
    changed = {
        **RUN.environment,
        "cores": 4,
        "commit": "another",
        "versions": {**RUN.environment["versions"], "onnxruntime": "1.24"},
    }
    del changed["cpu"]
    assert differences(replace(RUN, environment=changed), RUN) == [
        "cores: 2 before, 4 now",
        "cpu: AMD EPYC 9B14 before, not stated now",
        "versions: onnxruntime: 1.23.2 before, 1.24 now",
    ]


@given(speed=st.floats(min_value=0.2, max_value=5), faulty=st.booleans())
def test_each_figure_of_either_run_is_told_once_and_a_verdict_needs_both_values(speed: float, faulty: bool) -> None:
    cell = one_cell().closed[0]
    after = one_cell(throughput=cell.throughput * speed, windows=[], agreed=0, server=None if faulty else cell.server)
    changes = compare(after, one_cell())
    assert len({change.what for change in changes}) == len(changes) == 7
    for change in changes:
        if change.verdict != "not comparable":
            assert change.before is not None
            assert change.after is not None
        else:
            assert change.reason
    throughput = of(changes, "random × 8: throughput")
    ratio = throughput.ratio or 0
    wanted = "better" if ratio > 1.2 else "worse" if ratio < 0.8 else "within noise"
    assert throughput.verdict == wanted
