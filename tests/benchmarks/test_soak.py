"""The soak: its verdict on known samples, and a few seconds of it."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.mix import REFUSED, RIGHT, Ask, Judged
from benchmarks.samples import Held
from benchmarks.soak import Soaked, judge, latency_curve, shuffled
from tests.benchmarks.given import answer as answer_of
from tests.benchmarks.given import run_of
from topfive_loadgen.verdict import EXIT_CODES

IDLE = Held(0.0, 100_000_000, 14, 10)


def soaked(*, per_minute: float = 0.0, after: Held = IDLE) -> Soaked:
    taken = [Held(second, int(1e8 + per_minute * second / 60), 20, 10) for second in range(600)]
    return Soaked(run_of([], seconds=600.0), taken, IDLE, after)


def missed(came: Soaked, *, judged: Judged | None = None, exit_code: int = 0) -> list[str]:
    fine = Judged({"raw": {RIGHT: 1000}}, [], [])
    checks = judge(came, judged or fine, exit_code=exit_code, slope_limit_mb=1.0)
    return [check.name for check in checks if not check.met]


def test_memory_that_stays_passes_and_memory_that_grows_does_not() -> None:
    assert missed(soaked(per_minute=0.9e6)) == []
    assert missed(soaked(per_minute=1.1e6)) == ["memory, slope over the last two thirds"]


@pytest.mark.parametrize(
    ("after", "name"),
    [(Held(0.0, 1, 15, 10), "open files at the end"), (Held(0.0, 1, 14, 11), "threads at the end")],
)
def test_what_is_still_held_at_the_end_is_told(after: Held, name: str) -> None:
    assert missed(soaked(after=after)) == [name]


@pytest.mark.parametrize(
    ("judged", "name"),
    [
        (Judged({"raw": {RIGHT: 1}}, ["x"], []), "wrong answers"),
        (Judged({"raw": {RIGHT: 1}}, [], ["x"]), "requests without an answer"),
        (Judged({"raw": {RIGHT: 98, REFUSED: 2}}, [], []), "share refused"),
    ],
)
def test_a_wrong_a_lost_and_too_many_refused_fail_it(judged: Judged, name: str) -> None:
    assert missed(soaked(), judged=judged) == [name]


def test_it_must_end_as_it_is_asked_to() -> None:
    assert missed(soaked(), exit_code=1) == ["exit code after SIGTERM"]


def test_the_latency_curve_has_a_point_for_each_stretch() -> None:
    """The median and the tail of what was due in it; none where nothing was."""
    answers = [answer_of(0, second, second, second + 0.01, 200) for second in range(60)]
    answers[59] = answer_of(0, 59, 59, 59.5, 200)
    curve = [*latency_curve(answers, seconds=120.0)]
    assert len(curve) == 30
    assert [*curve[0]] == pytest.approx([1.0, 10, 10])
    assert curve[-1][2] > 400


def test_bad_requests_are_a_tenth_whatever_there_is_of_good_ones() -> None:
    bad = [Ask(f"bad {number}", b"", 400) for number in range(5)]
    for count in (3, 40, 300):
        asks = shuffled([Ask("good", b"")] * count, bad, seed=1)
        share = sum(ask.status == 400 for ask in asks) / len(asks)
        assert 0.05 < share < 0.15
        assert len(Counter(ask.kind for ask in asks)) == 6


def test_a_few_seconds_of_it_end_well(tmp_path: Path) -> None:
    """Files, pixels, errors and hang-ups on the real service; whether memory grows is for longer runs."""
    files = ["--json", str(tmp_path / "run.json"), "--plot", str(tmp_path / "run.png")]
    order = ["--seed", "1209"]  # begins with the kinds below, for few are sent where the machine is busy
    code = main(["soak", "--tiny", "--minutes", "0.03", "--share", "0.5", "--slope-limit", "1e6", *order, *files])
    result = json.loads((tmp_path / "run.json").read_text())
    assert {"classify raw", "classify three", "not an image", "unknown model"} <= set(result["counts"])
    assert len(result["samples"]) > 10
    assert (tmp_path / "run.png").stat().st_size > 10_000
    assert [check for check in result["checks"] if not check["met"]] == []
    assert code == EXIT_CODES["INVALID" if result["faults"] else "PASS"]  # a busy machine makes the generator late
