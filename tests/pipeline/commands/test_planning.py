"""A plan from end to end: a real server of a tiny model is measured, and a fleet of such servers is planned."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.pipeline.commands.conftest import Run
from tests.pipeline.planning.given import costs
from tests.testkit.serving_process import serving
from tests.testkit.tiny_models import write_tiny_repository
from topfive_pipeline.commands.planning import main
from topfive_pipeline.planning import calibrating, fitting, planner
from topfive_pipeline.planning.costs import read, write
from topfive_pipeline.proof.served import Served

ASKED: Final = ("--rate", "300/s", "--objective", "p99:500ms")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """As little as shows that all of it is done."""
    monkeypatch.setattr(planner, "REQUESTS", 200)
    monkeypatch.setattr(planner, "_SHORTEST", 0.5)
    monkeypatch.setattr(planner, "SHARES", (0.5, 1.0))
    monkeypatch.setattr(planner, "_AFTER_SECONDS", 0.5)
    monkeypatch.setattr(fitting, "_SIMULATED", 100)
    monkeypatch.setattr(calibrating, "ROUNDS", 1)


def test_a_model_is_measured_and_a_fleet_is_planned(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """How fast this machine is at this moment is not ours to say; that all was measured is."""

    @contextmanager
    def serve(repository: Path, flags: Sequence[str]) -> Iterator[Served]:
        with serving("--model-repository", str(repository.absolute()), *flags) as service:
            yield Served(service.port)

    monkeypatch.setattr(calibrating, "serve", serve)  # forks that have imported all
    write_tiny_repository(tmp_path / "models")
    ran = run(
        main,
        "tiny",
        *("--repository", str(tmp_path / "models"), "--mix", "4x6", "--cores", "1", "--time", "1s"),
        *(*ASKED, "--save-costs", str(tmp_path / "costs.json"), "--report", str(tmp_path / "report")),
    )
    assert ran.code == 0, ran.err
    kept = read(tmp_path / "costs.json")
    assert (kept.model, kept.cores, kept.slots) == ("tiny", 1, 1)
    assert kept.loop_seconds > 0
    assert kept.start_seconds > 0
    assert all(kind.in_slot and kind.nbytes == 4 * 6 * 3 for kind in kept.kinds)
    plan = json.loads((tmp_path / "report" / "plan.json").read_text(encoding="utf-8"))
    assert plan["chosen"]["servers"] >= 1
    assert f"300 images/s within p99:500ms: {plan['chosen']['servers']} server" in ran.words


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--objective", "throughput", "--rate", "3/s"], "a plan needs a latency"),
        (["--objective", "p99:1s"], "what is the traffic?"),
        (["--rate", "3/s", "--pod-cores", "two"], "--pod-cores two: say numbers"),
        (["--rate", "3/s", "--pod-cores", "0"], "--pod-cores 0: a server has 1 core at least"),
        (["--rate", "3/s", "tiny"], "say the NAME of a model, which is measured here, or --costs"),
    ],
)
def test_what_cannot_be_planned_is_refused(tmp_path: Path, run: Run, flags: Sequence[str], said: str) -> None:
    write(costs(), tmp_path / "costs.json")
    ran = run(main, "--costs", str(tmp_path / "costs.json"), *flags)
    assert ran.code == 2
    assert said in ran.err


def test_an_objective_that_no_fleet_holds_is_exit_code_1(tmp_path: Path, run: Run) -> None:
    write(costs(), tmp_path / "costs.json")
    ran = run(main, "--costs", str(tmp_path / "costs.json"), "--rate", "20/s", "--objective", "p99:5ms")
    assert ran.code == 1
    assert "no number of these servers holds it" in ran.words
