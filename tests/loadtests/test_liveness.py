"""When a server counts as lost: by what is seen of it, at given times."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtests.liveness import (
    ANSWER_SECONDS,
    EVERY_SECONDS,
    PATIENCE_SECONDS,
    TIMES,
    Liveness,
    Seen,
    ServerLost,
    Sighting,
)

SAID_WITHIN_SECONDS = 3.0


class Course:
    """A watch on its own clock: each question follows the last after the pause, and takes as long as it may."""

    def __init__(self, *, patience: float = PATIENCE_SECONDS) -> None:
        self.following = Liveness(zero=0.0, patience_seconds=patience)
        self.now = 0.0
        self.said: list[tuple[float, str]] = []

    def see(self, seen: Seen, *, times: int = 1, detail: str = "connection refused", took: float | None = None) -> None:
        for _ in range(times):
            began = self.now
            self.now += (ANSWER_SECONDS if seen == "silent" else 0.001) if took is None else took
            told = self.following.see(Sighting(began=began, ended=self.now, seen=seen, detail=detail))
            if told:
                self.said.append((self.now, told))
            self.now += EVERY_SECONDS


@pytest.fixture
def course() -> Course:
    made = Course()
    made.see("answered", times=4)
    return made


def test_a_server_that_refuses_connections_is_lost_from_the_first_of_them(course: Course) -> None:
    began = course.now
    course.see("gone", times=TIMES)
    assert course.following.lost is not None
    assert course.following.lost.at == began
    assert course.following.lost.reason == f"the server is gone: connection refused, {TIMES} times in a row"
    with pytest.raises(ServerLost, match="the server is gone"):
        course.following.check()


def test_one_broken_connection_is_no_death(course: Course) -> None:
    for _ in range(5):
        course.see("gone", times=TIMES - 1)
        course.see("answered")
    assert course.following.lost is None
    assert course.said == []
    assert [gap.count for gap in course.following.gaps] == [TIMES - 1] * 5


def test_a_server_that_turns_not_ready_is_lost_with_its_answer(course: Course) -> None:
    course.see("not ready", times=TIMES, detail="/v2/health/ready: 503 draining")
    assert course.following.lost is not None
    assert "turned not ready: /v2/health/ready: 503 draining" in course.following.lost.reason


@given(phase=st.floats(0, EVERY_SECONDS), took=st.floats(0, ANSWER_SECONDS), seen=st.sampled_from(["gone", "silent"]))
@settings(max_examples=40)
def test_whatever_it_dies_of_is_said_within_3_s(phase: float, took: float, seen: Seen) -> None:
    """It dies at any time since the last question; a question to a dead address may take as long as it may."""
    course = Course()
    course.see("answered")
    died = course.now - phase
    course.see(seen, times=TIMES, took=ANSWER_SECONDS if seen == "silent" else min(took, 0.5))
    assert course.said
    assert course.said[0][0] - died <= SAID_WITHIN_SECONDS


def test_a_hang_is_said_at_once_and_is_the_end_after_the_patience(course: Course) -> None:
    began = course.now
    course.see("silent")
    assert [told for _, told in course.said] == [
        "the server does not answer: nothing from its health for 1.5 s; after 10 s without any answer the run ends"
    ]
    course.see("silent", times=3)
    course.following.check()
    course.see("silent", times=2)
    assert course.following.lost is not None
    assert course.following.lost.at == began
    assert course.following.lost.reason.startswith("the server hangs: it has answered nothing for ")
    assert "patience: 10 s" in course.following.lost.reason
    assert len(course.said) == 2


def test_a_server_that_is_slow_and_comes_back_is_not_lost_but_told(course: Course) -> None:
    course.see("silent", times=2)
    course.see("answered")
    assert course.following.lost is None
    assert course.said[-1][1] == "the server answers again, after 4.0 s"
    [gap] = course.following.gaps
    assert (gap.of, gap.count) == ("health", 2)


def test_answers_to_the_load_show_that_a_server_lives_whose_health_is_silent(course: Course) -> None:
    for _ in range(10):
        course.see("silent")
        course.following.answered(course.now)
    course.following.check()
    course.see("silent", times=7)
    assert course.following.lost is not None


def test_a_process_that_began_later_is_a_restart(course: Course) -> None:
    assert course.following.started(None, at=1.0) == ""
    assert course.following.started(1000.0, at=2.0) == ""
    assert course.following.started(1000.0, at=3.0) == ""
    said = course.following.started(1042.5, at=4.0)
    assert said == "SERVER LOST: the server was restarted: its process began 42.5 s later than the one before"
    assert course.following.lost is not None
    assert (course.following.lost.at, course.following.lost.said) == (4.0, 4.0)


def test_the_first_loss_stays_and_is_said_once(course: Course) -> None:
    course.following.gone("the server's process 7 has ended", at=5.0)
    first = course.following.lost
    course.see("gone", times=TIMES)
    assert course.following.gone("again", at=6.0) == ""
    assert course.following.started(1.0, at=6.0) == ""
    assert course.following.lost is first
    assert course.said == []


def test_a_gap_that_is_open_at_the_end_ends_with_the_run(course: Course) -> None:
    course.see("silent")
    course.following.finish()
    assert [gap.count for gap in course.following.gaps] == [1]


def test_another_kind_of_silence_is_another_row(course: Course) -> None:
    course.see("gone", times=TIMES - 1)
    course.see("not ready", times=TIMES - 1)
    assert course.following.lost is None
    course.following.check()
