"""What is told while a run is under way: on a terminal, in a log, and how long it will still take."""

from __future__ import annotations

import io

import pytest

from loadtests.progress import Progress, Step, steps, total
from loadtests.run_plan import RunPlan

AHEAD = [Step("preparing", 10.0), Step("random × 1", 20.0), Step("random × 8", 20.0)]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_line_has_step_answers_errors_and_the_time_left(clock: Clock) -> None:
    progress = Progress(AHEAD, io.StringIO(), clock=clock)
    clock.now += 10.0
    progress.begin("random × 1")
    progress.count(1, 0)
    progress.count(40, 1)
    clock.now += 5.0
    assert progress.line() == "[0:15] step 2 of 3, random × 1: 41 answers, 1 error so far; about 0:35 left"


def test_the_estimate_learns_from_the_steps_so_far_within_bounds(clock: Clock) -> None:
    progress = Progress(AHEAD, io.StringIO(), clock=clock)
    assert progress.seconds_left == 50.0
    clock.now += 15.0  # half as long again
    progress.begin("random × 1")
    assert progress.seconds_left == pytest.approx(60.0)
    clock.now += 1000.0
    assert progress.seconds_left == pytest.approx(30.0)  # this step is overdue: what is left are the others
    progress.begin("random × 8")
    assert progress.seconds_left == pytest.approx(40.0)  # at most twice as long
    progress.finish()
    assert progress.seconds_left == 0.0


def test_more_steps_than_were_planned_are_no_error(clock: Clock) -> None:
    progress = Progress(AHEAD[:1], io.StringIO(), clock=clock)
    for _ in range(3):
        progress.begin("more")
    assert "step 1 of 1, more" in progress.line()
    assert progress.seconds_left == 0.0


def test_a_terminal_keeps_one_line_below_all_others(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    stream = Terminal()
    progress = Progress(AHEAD, stream, clock=clock)
    progress.tell()
    assert stream.getvalue().startswith("\r\x1b[2K[0:00] step 1 of 3")
    assert len(stream.getvalue()) <= 60 + len("\r\x1b[2K")  # a line that wraps could not be taken off
    progress.say("window 1")
    assert "\r\x1b[2K[0:00] window 1\n[0:00] step 1 of 3" in stream.getvalue()
    progress.finish()
    assert stream.getvalue().endswith("\r\x1b[2K")


def test_a_log_gets_whole_lines_and_no_control_characters(clock: Clock) -> None:
    stream = io.StringIO()
    progress = Progress(AHEAD, stream, clock=clock)
    progress.tell()
    progress.alarm("SERVER LOST: it is gone")
    progress.step("window 1")
    progress.finish()
    told = stream.getvalue()
    assert told.splitlines()[1:] == ["[0:00] !! SERVER LOST: it is gone", "[0:00]   window 1"]
    assert told.endswith("\n")
    assert "\x1b" not in told
    assert "\r" not in told


def test_what_must_not_be_missed_is_bold_on_a_terminal(clock: Clock) -> None:
    stream = Terminal()
    Progress(AHEAD, stream, clock=clock).alarm("SERVER LOST")
    assert "\x1b[1m!! SERVER LOST\x1b[0m" in stream.getvalue()


def test_each_part_of_a_plan_is_a_step() -> None:
    plan = RunPlan(scenarios=("raw",), workers=(1, 8), shapes=("spike",), open_rates=(40.0,))
    names = [step.name for step in steps(plan)]
    assert names == [
        *("preparing", "null backend", "random × 1", "random × 8", "complex × 1", "complex × 8", "spike"),
        *("random: open loop", "random at 40/s", "random: capacity", "random: capacity"),
    ]
    assert total(steps(plan)).startswith("about ")
    assert total(AHEAD) == "about 50 s"
    assert total([Step("long", 600.0)]) == "about 10 minutes"
