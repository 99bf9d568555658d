"""What large images cost small ones: the arithmetic on known figures, and a short run against the real service."""

import json
from pathlib import Path

import pytest

from benchmarks import load_figures as f
from benchmarks import mixed_sizes as m
from benchmarks.__main__ import main
from benchmarks.overload_verdict import Phase
from benchmarks.workloads import load
from tests.testkit.serving_process import ROOT, ServingProcess


def rounds(*, beside: float = 90.0, wrong: float = 0.0, lost: float = 0.0) -> list[Phase]:
    """Three rounds; the machine is half as fast in the second."""
    good = {f.WRONG: 0.0, f.UNANSWERED: 0.0}
    return [
        Phase(name, turn, {**good, f.P99: p99 * slow, f.WRONG: wrong, f.UNANSWERED: lost})
        for turn, slow in enumerate((1.0, 2.0, 1.0))
        for name, p99 in ((m.SMALL_ALONE, 50.0), (m.SMALL_BESIDE, beside), (m.LARGE_BESIDE, 700.0))
    ]


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (rounds(), []),
        (rounds(beside=101.0), ["p99 of small ones, beside large ÷ alone"]),
        (rounds(wrong=1.0), [f.WRONG]),
        (rounds(lost=1.0), [f.UNANSWERED]),
    ],
)
def test_small_ones_may_wait_twice_as_long_and_nothing_may_go_wrong(found: list[Phase], missed: list[str]) -> None:
    assert [check.name for check in m.checks(found) if not check.met] == missed


def test_one_in_ten_is_large() -> None:
    photos = [photo for photo in load(ROOT / "docs")["jpeg"] if isinstance(photo, bytes)]
    both, large = m.mix_of(photos, seed=1)
    assert (len(both), len(large)) == (70, 7)
    assert min(len(both[place]) for place in large) > 5 * max(map(len, photos))
    assert m.mix_of(photos, seed=1) == (both, large)


def test_a_short_run_measures_both(service: ServingProcess, tmp_path: Path) -> None:
    """Every answer right; how fast it was is not this test's business."""
    options = ["--url", f"http://127.0.0.1:{service.port}", "--images", str(ROOT / "docs")]
    main(["mixed_sizes", *options, "--rounds", "1", "--seconds", "0.2", "--json", str(tmp_path / "run.json")])
    result = json.loads((tmp_path / "run.json").read_text())
    assert [phase["name"] for phase in result["phases"]] == [m.SMALL_BESIDE, m.LARGE_BESIDE, m.SMALL_ALONE]
    assert [check["seen"] for check in result["checks"] if check["name"] in {f.WRONG, f.UNANSWERED}] == [0, 0]
