"""The stall experiment: who saw a stall, on known samples; the command against the real service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import stall
from benchmarks.stall import CLOSED, OPEN, Seen, checks, seen


def test_who_waited_through_half_a_stall_has_seen_it() -> None:
    """The request that was under way, and those due early enough in it; a stall after the end is none of theirs."""
    waits = [(0.0, 0.1), (0.9, 1.3), (1.05, 1.25), (1.15, 1.25), (1.25, 1.3)]
    found = seen(waits, [(1.0, 1.2), (3.0, 3.2)])
    assert found.stalled == 2
    assert found.stalls == 1
    assert found.per_second == pytest.approx(5 / 1.3)
    assert found.latency.max == pytest.approx(0.4)


def test_the_verdict_wants_the_stall_in_one_p99_and_not_in_the_other() -> None:
    def loop(p99: float) -> Seen:
        return seen([(0.0, 0.001)] * 98 + [(0.0, p99)] * 2, [])

    assert [check.met for check in checks({CLOSED: loop(0.01), OPEN: loop(0.19)}, stall_seconds=0.2)] == [True, True]
    assert [check.met for check in checks({CLOSED: loop(0.19), OPEN: loop(0.01)}, stall_seconds=0.2)] == [False, False]


def test_the_command_shows_what_each_loop_saw(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The closed loop has one request under way in a stall, so it sees each at most once; the open loop more often.

    That the percentiles show it too is for a quiet machine to say.
    """
    figures, picture = tmp_path / "stall.json", tmp_path / "stall.png"
    stall.main(["--seconds", "1.5", "--stall-every", "0.7", "--json", str(figures), "--plot", str(picture)])
    loops = json.loads(figures.read_text())["loops"]
    assert 0 < loops[CLOSED]["stalled"] <= loops[CLOSED]["stalls"]
    assert loops[OPEN]["stalled"] / loops[OPEN]["latency"]["count"] > 0.01
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "Verdict: " in capsys.readouterr().out
