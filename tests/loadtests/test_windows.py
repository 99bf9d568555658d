"""The rule of the windows: three in a row that repeat one another, in throughput and in latency."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests import windows
from loadtests.recorder import Sample
from loadtests.results import Window

STEADY = Window(began=0.0, seconds=2.0, count=100, errors=0, p50=0.010, p99=0.020)


def sample(ended: float, *, took: float = 0.01, error: str = "", kind: str = "photo") -> Sample:
    return Sample(ended - took, ended, "raw", kind, error, 1)


def test_three_equal_windows_agree_and_two_do_not() -> None:
    assert windows.agree([STEADY] * 3)
    assert not windows.agree([STEADY] * 2)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(replace(STEADY, count=112), id="more throughput"),
        pytest.param(replace(STEADY, count=88), id="less throughput"),
        pytest.param(replace(STEADY, p50=0.0112), id="slower"),
        pytest.param(replace(STEADY, count=0, p50=None, p99=None), id="nothing right"),
    ],
)
def test_one_window_that_is_apart_is_waited_out(odd: Window) -> None:
    """Wherever among the last three it is; once three others have followed, it is forgotten."""
    for place in range(3):
        assert not windows.agree([*[STEADY] * place, odd, *[STEADY] * (2 - place)])
    assert windows.agree([odd, STEADY, STEADY, STEADY])


def test_windows_within_the_tolerance_agree() -> None:
    assert windows.agree([STEADY, replace(STEADY, count=105), replace(STEADY, p50=0.0105)])


def test_windows_without_any_right_answer_never_agree() -> None:
    """However alike they are: a server that refuses everything is steady, too."""
    refusing = replace(STEADY, count=0, errors=100, p50=None, p99=None)
    assert not windows.agree([refusing] * 5)


def test_a_window_counts_what_ended_in_it() -> None:
    samples = [sample(1.0, took=5.0), sample(2.9, took=0.3), sample(3.0), sample(2.0, error="wrong label"), sample(0.9)]
    found = windows.window(samples, start=1.0, seconds=2.0, zero=0.25)
    assert (found.began, found.seconds, found.count, found.errors) == (0.75, 2.0, 2, 1)
    assert found.p50 == pytest.approx(0.3)
    assert found.p99 == pytest.approx(5.0)


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=50), st.integers(1, 8))
def test_every_sample_is_in_exactly_one_of_windows_side_by_side(ends: list[float], count: int) -> None:
    samples = [sample(end) for end in ends]
    width = 10.5 / count
    starts = [number * width for number in range(count)]
    found = [windows.window(samples, start=start, seconds=width, zero=0.0) for start in starts]
    covered = [end for end in ends if any(start <= end < start + width for start in starts)]
    assert sum(window.count for window in found) == len(covered)


def test_a_stretch_has_latencies_of_right_answers_only_and_every_error_by_its_kind() -> None:
    samples = [
        sample(1.0, took=0.1),
        sample(1.0, took=0.3, kind="12 MP raw"),
        sample(1.0, took=9.0, error="429 queue_full"),
        sample(1.0, took=9.0, error="wrong label"),
        sample(1.0, took=9.0, error="429 queue_full"),
    ]
    found = windows.stretch(samples)
    assert found.latency is not None
    assert found.latency.count == 2
    assert found.latency.max == pytest.approx(0.3)
    assert {kind: latency.count for kind, latency in found.kinds.items()} == {"raw: photo": 1, "raw: 12 MP raw": 1}
    assert found.errors == {"429 queue_full": 2, "wrong label": 1}


def test_a_stretch_of_errors_has_no_latency() -> None:
    assert windows.stretch([sample(1.0, error="504")]).latency is None
