"""From windows to a verdict: ratios within a round, medians over rounds, targets."""

from collections.abc import Mapping

import pytest

from benchmarks import figures as f
from benchmarks.figures import (
    EFFICIENCY,
    LONE,
    TARGETS,
    THROUGHPUT,
    Config,
    Figure,
    Goal,
    Window,
    conclude,
    faults,
    figures,
    judge,
)
from benchmarks.workloads import JPEG, MIXED, RAW224

TWO_SESSIONS = Config(2, 1, 4)


def service(
    turn: int, values: Mapping[str, float] | None = None, *, scenario: str = RAW224, connections: int = 8
) -> Window:
    usual = {f.IMAGES: 90.0, f.CPU: 12.0, "p50": 10.0, "p99": 12.0, f.BATCH: 4.0}
    return Window(turn, scenario, connections, {**usual, **(values or {})})


def bare(turn: int, config: Config, *, images: float = 100.0, cpu: float = 10.0, step: float = 9.0) -> Window:
    return Window(turn, RAW224, config, {f.IMAGES: images, f.CPU: cpu, f.STEP: step})


def test_a_ratio_is_taken_within_its_round_and_then_the_median() -> None:
    """A machine half as fast in one round halves both sides there and moves no ratio."""
    speeds = {0: 1.0, 1: 0.5, 2: 1.0}
    windows = [
        window
        for turn, speed in speeds.items()
        for window in (service(turn, {f.IMAGES: 90 * speed}), bare(turn, TWO_SESSIONS, images=100 * speed))
    ]
    assert figures(windows)[Figure(THROUGHPUT, RAW224, 8)] == pytest.approx(0.9)


def test_the_median_bears_one_bad_round() -> None:
    """One round of three in which only the service was disturbed does not decide."""
    windows = [service(turn, {f.IMAGES: images}) for turn, images in enumerate([91, 20, 93])]
    windows += [bare(turn, TWO_SESSIONS) for turn in range(3)]
    assert figures(windows)[Figure(THROUGHPUT, RAW224, 8)] == pytest.approx(0.91)


def test_the_bare_limit_is_the_fastest_configuration_and_its_cpu() -> None:
    """Efficiency is against the CPU of the configuration with the best throughput; the least CPU is kept beside it."""
    made = figures([service(0), bare(0, TWO_SESSIONS), bare(0, LONE[0], images=60, cpu=6, step=7)])
    assert made[Figure(EFFICIENCY, RAW224, 8)] == pytest.approx(10 / 12)
    assert made[Figure(f.EFFICIENCY_LEAST, RAW224, 8)] == pytest.approx(6 / 12)


def test_the_bare_limit_is_one_configuration_for_all_rounds() -> None:
    """The luckiest window of a round, of a configuration that is not the best, is not the limit."""
    windows = [service(turn) for turn in range(3)]
    windows += [bare(turn, TWO_SESSIONS, images=100) for turn in range(3)]
    windows += [bare(turn, LONE[1], images=images) for turn, images in enumerate([150, 80, 80])]
    assert figures(windows)[Figure(THROUGHPUT, RAW224, 8)] == pytest.approx(0.9)


def test_the_bare_latency_is_the_better_lone_configuration() -> None:
    """One thread or two, whichever answers a lone image sooner; a batch's time does not count."""
    windows = [service(0), bare(0, TWO_SESSIONS, step=1), bare(0, LONE[0], step=8), bare(0, LONE[1], step=6.5)]
    assert figures(windows)[Figure(f.OVERHEAD, RAW224, 8)] == pytest.approx(3.5)
    assert figures(windows)[Figure(f.LONE_CLIENT, RAW224, 8)] == pytest.approx(10 - 1.08 * 6.5)


def test_mixed_batches_are_compared_with_raw_ones_at_the_same_connections() -> None:
    """15 % smaller batches are 15 % apart."""
    mixed = service(0, {f.BATCH: 3.4}, scenario=MIXED, connections=16)
    made = figures([service(0, connections=16), service(0, {f.BATCH: 9.0}), mixed])
    assert made[Figure(f.UNEVEN, MIXED, 16)] == pytest.approx(15)


@pytest.mark.parametrize(
    ("sense", "value", "met"), [("≥", 0.92, True), ("≥", 0.919, False), ("≤", 0.92, True), ("≤", 0.921, False)]
)
def test_a_target_is_met_at_its_limit(sense: str, value: float, met: bool) -> None:
    """The limit itself is good enough, on either side."""
    target = Goal(Figure(THROUGHPUT, RAW224, 8), "≥" if sense == "≥" else "≤", 0.92)
    (verdict,) = judge([target], {target.figure: value})
    assert (verdict.seen, verdict.met) == (value, met)


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    """A run of one scenario says nothing of the others, and does not fail for them."""
    verdicts = judge(TARGETS, {})
    assert {verdict.met for verdict in verdicts} == {None}
    assert conclude([], verdicts).outcome == "PASS"


def test_a_missed_target_is_told() -> None:
    """One missed target fails the run."""
    assert conclude([], judge(TARGETS, {Figure(f.TAIL, JPEG, 16): 1.5})).outcome == "FAIL"


def test_a_wrong_answer_makes_the_run_invalid() -> None:
    """However fast: a figure for wrong answers is no figure."""
    windows = [service(0, {f.WRONG: 2})]
    assert faults(windows) == ["2 wrong answers"]
    assert conclude(windows, []).outcome == "INVALID"


def test_a_shared_machine_makes_the_run_invalid() -> None:
    """Others' CPU in more than a fifth of the windows is a fault; in a few of them the medians bear it."""
    quiet, disturbed = service(0, {f.BYSTANDER: 0.01}), service(0, {f.BYSTANDER: 0.5})
    assert faults([quiet] * 9 + [disturbed]) == []
    assert faults([quiet, disturbed]) == ["other processes used the CPU in 1 of 2 windows"]
