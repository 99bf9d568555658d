"""The overload run: its figures and verdict on known samples, and the command itself."""

import json
import math
from pathlib import Path

import pytest

from benchmarks import load_figures as f
from benchmarks import overload_verdict as o
from benchmarks import timeline
from benchmarks.__main__ import main
from benchmarks.overload_verdict import Phase
from tests.benchmarks.given import answer as answer_of
from tests.testkit.serving_process import ROOT, ServingProcess
from topfive_loadgen.plan import Sample
from topfive_loadgen.verdict import Check


def accepted(at: float, took: float, *, seen: object = None) -> Sample:
    return answer_of(0, at, at, at + took, 200, seen)


def refused(at: float, took: float, *, status: int = 429, retry_after: float | None = 2.0) -> Sample:
    return answer_of(0, at, at + 0.001, at + took, status, "queue_full", retry_after)


def test_figures_are_of_what_was_due_in_the_window() -> None:
    """Latencies from the scheduled time; what was due while it warmed up, or came after the end, is not counted."""
    answers = [accepted(0.5, 9.0), *(accepted(1 + number / 100, 0.1) for number in range(100)), refused(1.5, 0.004)]
    made = f.summarise(answers, after=1.0, until=3.0)
    assert made[f.OFFERED] == pytest.approx(101 / 2)
    assert made[f.GOODPUT] == pytest.approx(100 / 2)
    assert made[f.P50] == pytest.approx(100)
    assert made[f.REFUSED] == pytest.approx(4)
    assert (made["status 200"], made["status 429"]) == (100, 1)
    assert made[f.LAG] == pytest.approx(0, abs=0.5)


def test_goodput_counts_right_answers_when_they_come() -> None:
    """An answer after the end is none of the window's, whoever is right; a wrong one is never good."""
    answers = [accepted(0.9, 0.2), accepted(1.0, 0.1), accepted(1.9, 0.2), accepted(1.5, 0.1, seen="wrong")]
    made = f.summarise(answers, after=1.0, until=2.0, is_right=lambda answer: answer.seen != "wrong")
    assert made[f.GOODPUT] == 2
    assert made[f.WRONG] == 1


def test_refusals_and_their_advice_are_counted() -> None:
    answers = [refused(0.1, 0.002, retry_after=1.0), refused(0.2, 0.002, retry_after=None, status=503)]
    answers += [refused(0.3, 0.002, retry_after=3.0), answer_of(0, 0.4, 0.4, 0.5, 0, "closed")]
    made = f.summarise(answers, after=0.0, until=1.0)
    assert (made[f.RETRY_AFTER], made[f.UNTOLD], made[f.UNANSWERED]) == (1.0, 1, 1)
    assert (made["status 429"], made["status 503"]) == (2, 1)
    assert math.isnan(made[f.P99])


def test_medians_take_a_missing_count_for_none_and_leave_out_what_was_not_measured() -> None:
    made = f.medians([{"status 429": 4, f.P99: 1.0}, {f.P99: math.nan}, {"status 429": 2, f.P99: 3.0}])
    assert made == {"status 429": 2, f.P99: 2.0}


def test_late_is_beyond_deadline_and_batch() -> None:
    """The longest batch of the phase, and the slack, are allowed on top; and only good answers count."""
    answers = [accepted(0, 0.1, seen=(7, 0.02)), accepted(1, 0.129, seen=(7, 0.005)), refused(2, 0.5)]
    made = o.lateness(answers, timeout_seconds=0.1)
    assert made[o.LATE] == 0
    assert made[o.BATCH] == pytest.approx(20)
    made = o.lateness([*answers, accepted(3, 0.1301, seen=(7, 0.01))], timeout_seconds=0.1)
    assert made[o.LATE] == 1
    assert made[o.LATEST] == pytest.approx(130.1)


def phases(*, goodput: float = 99.0, p99: float = 90.0, refusal: float = 1.0, late: float = 0.0) -> list[Phase]:
    """Three rounds; the machine is half as fast in the second."""
    usual = {f.P99: 50.0, f.REFUSED: math.nan, f.UNTOLD: 0.0, f.UNANSWERED: 0.0, f.WRONG: 0.0}
    made = []
    for turn, speed in enumerate((1.0, 0.5, 1.0)):
        twice = {**usual, f.GOODPUT: goodput * speed, f.P99: p99 / speed, f.REFUSED: refusal, "status 429": 100.0}
        made += [
            Phase(o.CLOSED, turn, {f.GOODPUT: 95 * speed}),
            Phase("1.1 × closed", turn, {**usual, f.GOODPUT: 100 * speed}),
            Phase(o.BELOW, turn, {**usual, f.GOODPUT: 80 * speed, f.P99: 50 / speed}),
            Phase(o.TWICE, turn, twice),
            Phase(o.DEADLINES, turn, {**usual, f.GOODPUT: 200.0, o.LATE: late, "status 504": 9.0}),
        ]
    return made


def missed(checks: list[Check]) -> list[str]:
    return [check.name for check in checks if not check.met]


def test_a_service_that_keeps_its_peak_passes() -> None:
    """Ratios are taken within a round: a slow round moves none. The peak is the best of closed and open loop."""
    checks = o.checks(phases())
    assert missed(checks) == []
    assert checks[0].seen == pytest.approx(0.99)
    assert checks[2].seen == pytest.approx(1.8)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"goodput": 94.9}, "goodput at 2 × ÷ peak"),
        ({"refusal": 5.1}, "refusals at 2 ×, median"),
        ({"refusal": math.nan}, "refusals at 2 ×, median"),
        ({"p99": 100.1}, "p99 of accepted, 2 × ÷ 80 %"),
        ({"late": 1.0}, "answers later than deadline and batch"),
    ],
)
def test_each_target_is_missed_alone(change: dict[str, float], name: str) -> None:
    assert missed(o.checks(phases(**change))) == [name]


@pytest.mark.parametrize(
    ("phase", "status", "allowed"),
    [(o.DEADLINES, 504, True), (o.TWICE, 503, True), (o.TWICE, 504, False), (o.BELOW, 500, False)],
)
def test_only_overload_and_deadlines_explain_a_refusal(phase: str, status: int, allowed: bool) -> None:
    more = Phase(phase, 0, {**phases()[2].figures, f"{f.STATUS} {status}": 1.0})
    unexplained = "statuses that overload does not explain" in missed(o.checks([*phases(), more]))
    assert unexplained is not allowed


def test_a_generator_or_a_neighbour_makes_it_invalid() -> None:
    behind = Phase(o.TWICE, 1, {}, ["the generator fell behind"])
    assert o.faults([behind]) == ["round 2, 2 ×: the generator fell behind"]
    quiet, disturbed = Phase(o.BELOW, 0, {o.OTHERS_CPU: 0.01}), Phase(o.BELOW, 0, {o.OTHERS_CPU: 0.5})
    assert o.faults([quiet] * 9 + [disturbed]) == []
    assert o.faults([quiet, disturbed]) == ["other processes used the CPU in 1 of 2 phases"]


def test_every_kind_of_answer_is_drawn(tmp_path: Path) -> None:
    shown = {o.TWICE: [(0.1, 0.2, 200), (0.2, 0.001, 429), (0.3, 0.1, 504), (0.4, 0.1, 0)], o.BELOW: []}
    timeline.draw_latencies(shown, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


def test_a_short_run_measures_reports_and_draws(
    service: ServingProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All phases against the real service, every answer right; how fast it was is not this test's business."""
    options = ["--url", f"http://127.0.0.1:{service.port}", "--images", str(ROOT / "docs")]
    files = ["--json", str(tmp_path / "run.json"), "--plot", str(tmp_path / "run.png")]
    main(["overload", *options, "--rounds", "1", "--seconds", "0.3", *files])
    result = json.loads((tmp_path / "run.json").read_text())
    names = [phase["name"] for phase in result["phases"]]
    assert names == [o.CLOSED, "0.95 × closed", "1.1 × closed", o.BELOW, o.TWICE, o.DEADLINES]
    assert all(phase["figures"].get(f.WRONG, 0) == 0 for phase in result["phases"])
    assert all(phase["figures"].get(f.UNANSWERED, 0) == 0 for phase in result["phases"])
    assert (tmp_path / "run.png").stat().st_size > 10_000
    assert "Verdict: " in capsys.readouterr().out
