"""A tuning from end to end: real servers of a tiny model under real load; and what is written where that is better."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.pipeline.commands.conftest import Run
from tests.pipeline.tuning.simulated import latency
from tests.testkit.serving_process import serving
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, OUTPUTS, PIXELS, config, write_tiny_repository
from topfive.ground.errors import ConfigurationError
from topfive.repository.model_config import parse_model_config
from topfive_pipeline.commands.tuning import main
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.experiments.tracking import Tracker
from topfive_pipeline.proof.served import Served
from topfive_pipeline.tuning import engines, plan, servers, tuner, turns
from topfive_pipeline.tuning.choosing import Candidate
from topfive_pipeline.tuning.rounds import Asked
from topfive_pipeline.tuning.servers import Running
from topfive_pipeline.under_load.load import Capacity, Probe

TEXT: Final = "# Ours.\n" + CLASSIFIER_CONFIG
ASKED: Final = ("tiny", "--cores", "2", "--image", "4x6")


@pytest.fixture(autouse=True)
def one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where OpenVINO is not installed: to import it takes longer than all else here."""
    monkeypatch.setattr(engines, "find_spec", lambda _: None)


def test_a_model_is_tuned_on_real_servers_under_real_load(
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is better on this machine at this moment is not ours to say; that all was measured is."""

    @contextmanager
    def serve(repository: Path, flags: Sequence[str]) -> Iterator[Served]:
        with serving("--model-repository", str(repository.absolute()), *flags) as service:
            yield Served(service.port)

    monkeypatch.setattr(servers, "serve", serve)  # forks that have imported all: the same code in a fifth of the time
    for name, value in (
        ("SHORTEST", 0.05),
        ("LONGEST", 0.06),
        ("LIMITS", 0.0),
        ("FINAL_ROUNDS", 1),
        ("MORE_FINAL_ROUNDS", 1),
    ):
        monkeypatch.setattr(plan, name, value)
    text = config([PIXELS], OUTPUTS)  # without dynamic_batching, so that only what runs it is tried
    repository, report = write_tiny_repository(tmp_path / "models", classify_config=text), tmp_path / "report"
    ran = run(main, *ASKED, "--repository", repository, "--objective", "p50:2s", "--time", "50s", "--report", report)
    assert (ran.code, ran.err) == (0, "")
    told = json.loads((report / "tuning.json").read_text(encoding="utf-8"))
    assert [each["setting"]["instances"] * each["setting"]["threads"] for each in told["tried"]] == [2, 2, 1]
    assert all(each["rounds"] >= 1 and each["capacity"] > 0 for each in told["tried"])
    assert all(each["agreement"] == 1 for each in told["tried"])
    assert all(point["failed_share"] == 0 for each in told["tried"] for point in each["points"])
    now = (repository / "classify" / "config.pbtxt").read_text(encoding="utf-8")
    assert (now != text) == told["written"] == (told["verdict"] == "better")
    assert "<svg" in (report / "report.html").read_text(encoding="utf-8")


class Formulas(turns.Turns):
    """Loads whose results follow from the setting: one instance of two threads is twice as fast as all others."""

    def __call__(self, candidate: Candidate, asked: Asked, number: int) -> Capacity | Probe:
        capacity = 200.0 if candidate.setting.threads == 2 else 100.0
        if asked.rate is None:
            return Capacity(capacity, 0)
        seconds = latency(asked.rate, capacity, 0.01)
        return Probe(asked.rate, (seconds,) * 200)

    def capacity(self, candidate: Candidate, seconds: float) -> Capacity:
        return Capacity(100.0, 0)


@pytest.fixture
def formulas(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No server is started, and no load is made; the texts of the configurations that would have been served."""
    started: list[str] = []

    def start(_: servers.Servers, text: str, requests: Sequence[bytes]) -> Running:
        started.append(text)
        if "count: 1" in text and "intra_op" not in text:
            raise ConfigurationError("the server cannot serve it: it is too small")
        return Running("http://127.0.0.1:9", (0,) * len(requests), 4, ExitStack())

    monkeypatch.setattr(tuner, "Turns", Formulas)
    monkeypatch.setattr(servers.Servers, "start", start)
    return started


def test_what_is_clearly_better_is_written_with_the_evidence(
    tmp_path: Path,
    run: Run,
    formulas: list[str],
) -> None:
    repository = write_tiny_repository(tmp_path, classify_config=TEXT)
    before = (repository / "tiny" / "config.pbtxt").read_bytes()
    ran = run(main, *ASKED, "--repository", repository)
    assert ran.code == 0
    assert "2.00 times the rate of what is there, ahead in 8 of 8 rounds" in ran.words
    assert "the server cannot serve it: it is too small" in ran.words
    path = repository / "classify" / "config.pbtxt"
    text = path.read_text(encoding="utf-8")
    read = parse_model_config(text, name="classify", where="")
    assert (read.instances, read.threads) == (0, 2)  # which fills two cores with one
    assert text.startswith(TEXT.rstrip())
    assert "# ---- topfive tune: p99:50ms, " in text
    assert "ONNX Runtime, 1 x 2, batch 4" not in text
    assert formulas[0] == TEXT
    assert (repository / "tiny" / "config.pbtxt").read_bytes() == before
    # Tuned again, it is as good as it gets, and nothing is touched.
    again = run(main, *ASKED, "--repository", repository)
    assert (again.code, path.read_text(encoding="utf-8")) == (0, text)
    assert "nothing that was tried is ahead of the configuration as it is, which stays" in again.words


def test_a_dry_run_shows_what_it_would_write(tmp_path: Path, run: Run, formulas: list[str]) -> None:
    repository = write_tiny_repository(tmp_path, classify_config=TEXT)
    ran = run(main, *ASKED, "--repository", repository, "--dry-run")
    assert (ran.code, (repository / "classify" / "config.pbtxt").read_text(encoding="utf-8")) == (0, TEXT)
    assert 'parameters { key: "intra_op_thread_count" value { string_value: "2" } }' in ran.out
    told = run(main, *ASKED, "--repository", repository, "--dry-run", "--json")
    assert json.loads(told.out)["verdict"] == "better"


def test_an_objective_that_nothing_holds_is_a_failure_that_says_how_far_it_is(
    tmp_path: Path,
    run: Run,
    formulas: list[str],
    logged: Tracker,
) -> None:
    repository = write_tiny_repository(tmp_path, classify_config=TEXT)
    ran = run(main, *ASKED, "--repository", repository, "--objective", "p99:5ms", "--json")
    assert ran.code == 1
    assert json.loads(ran.out)["verdict"] == "unmet"
    (stored,) = logged.runs()
    assert (stored.command, stored.model, stored.params["objective"]) == ("tune", "tiny:1", "p99:5ms")
    assert stored.tags["graph.sha256"] == sha256(repository / "classify" / "1" / "model.onnx")
    assert stored.tags["topfive.refused"] == "the objective holds at no rate"
    assert logged.run(stored.id).artifacts == ("config.pbtxt", "tuning.json")
    assert (repository / "classify" / "config.pbtxt").read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--objective", "fast"], "say a percentile and its limit"),
        (["--image", "png"], "say jpeg for files"),
        (["--time", "long"], "say a number of seconds"),
        (["--photos", "none"], "there is no such folder"),
        (["--bf16"], "--bf16 needs the engine OpenVINO"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_starts(
    tmp_path: Path,
    run: Run,
    formulas: list[str],
    flags: list[str],
    said: str,
) -> None:
    ran = run(main, *ASKED, "--repository", write_tiny_repository(tmp_path), *flags)
    assert (ran.code, formulas) == (2, [])
    assert said in ran.err
