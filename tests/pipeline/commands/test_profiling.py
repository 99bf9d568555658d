"""A profile from end to end: a real service of a tiny model under real load, watched from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.http.server.test_tls import make_pair
from tests.pipeline.commands.conftest import Run
from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.tiny_models import write_tiny_repository
from topfive_pipeline.commands.profiling import main
from topfive_pipeline.profiling import profiler, roofline
from topfive_pipeline.proof.served import Served


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_repository(tmp_path_factory.mktemp("profiled"))


@pytest.fixture(scope="module")
def service(repository: Path) -> Iterator[ServingProcess]:
    with serving("--model-repository", str(repository), "--no-grpc") as running:
        yield running


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured here is of no use; that it is measured is the claim."""
    for module, name, value in (
        (profiler, "_WARM", 0.1),
        (profiler, "_SETTLE", 0.1),
        (profiler, "_GRAPH_SECONDS", 0.1),
        (roofline, "_SECONDS", 0.01),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.untraced
def test_a_service_that_is_started_is_profiled_under_load(
    repository: Path, service: ServingProcess, tmp_path: Path, run: Run, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def serve(_: Path, flags: Sequence[str]) -> Iterator[Served]:
        assert flags == ["--no-grpc"]
        yield Served(service.port)

    monkeypatch.setattr(profiler, "serve", serve)
    report = tmp_path / "report"
    asked = ("tiny", "--repository", repository, "--image", "4x6", "--connections", "2", "--seconds", "1")
    ran = run(main, *asked, "--report", report)
    assert (ran.code, ran.err) == (0, "")
    assert "event loop" in ran.words
    assert "Try, in this order: 1." in ran.words
    told = json.loads((report / "profile.json").read_text(encoding="utf-8"))
    stages, usage = told["evidence"]["stages"], told["evidence"]["usage"]
    assert (stages["model"], stages["engine"]) == ("tiny", "onnxruntime")
    assert stages["rate"] > 0
    assert sum(stages["seconds"].values()) > 0
    assert usage["cores"] > 0
    assert {"event loop", "inference threads"} & {role["name"] for role in usage["roles"]}
    assert told["evidence"]["load"]["connections"] == 2
    assert [graph["title"] for graph in told["evidence"]["graphs"]] == ["inference", "resize"]
    assert told["findings"][0]["tries"]
    assert told["summary"] in (report / "profile.md").read_text(encoding="utf-8").replace("\\", "")
    page = (report / "profile.html").read_text(encoding="utf-8")
    assert page.count("<svg") >= 3
    assert "<script" not in page


def test_a_service_without_load_is_watched_as_it_is(service: ServingProcess, run: Run, short: None) -> None:
    url = f"http://127.0.0.1:{service.port}"
    ran = run(main, "--url", url, "--no-load", "--seconds", "1", "--pid", service.pid)
    assert (ran.code, ran.err) == (0, "")
    assert "Unknown: no request was answered while it was watched" in ran.words
    assert "without --no-load the profile makes its own load" in ran.words
    assert "without --repository the graphs cannot be run by themselves" in ran.words


def test_a_service_with_tls_and_a_key_is_profiled_too(
    repository: Path, tmp_path: Path, run: Run, short: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And without the key the refusal says where the command looks for one; nor is a stranger's certificate taken."""
    pair = make_pair(tmp_path, "served")
    keys = tmp_path / "keys"
    keys.write_text("correct-horse-battery-staple")
    flags = ("--model-repository", str(repository), "--no-grpc", "--api-keys-file", str(keys), *pair.flags)
    with serving(*flags) as service:
        asked = ("tiny", "--url", f"https://127.0.0.1:{service.port}", "--seconds", "1", "--image", "4x6", "--json")
        unknown = run(main, *asked)
        assert unknown.code == 2
        assert "certificate verify failed" in unknown.err
        monkeypatch.setenv("SSL_CERT_FILE", str(pair.certificate))
        refused = run(main, *asked)
        assert refused.code == 2
        assert "asks for an API key, or has another one: set PROFILE_API_KEY" in refused.err
        monkeypatch.setenv("PROFILE_API_KEY", keys.read_text())
        ran = run(main, *asked)
    assert (ran.code, ran.err) == (0, "")
    told = json.loads(ran.out)["evidence"]
    assert told["stages"]["rate"] > 0
    assert told["load"]["failed"] == {}


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("tiny", "--no-load"), "--no-load is for a service that runs already: say where, with --url"),
        (("tiny", "--pid", "5"), "--pid is for a service that runs already: say where, with --url"),
        (("tiny", "--url", "http://127.0.0.1:9", "--cores", "1"), "--cores is for a service that is started here"),
        (("--url", "http://127.0.0.1:9"), "say which model: topfive profile NAME"),
        (("--no-load", "--url", "ftp://127.0.0.1:9"), "say http://HOST:PORT"),
        (("--no-load", "--url", "https://127.0.0.1:9"), "there are no metrics at /metrics"),
        (("--no-load", "--url", "http://127.0.0.1:x"), "say http://HOST:PORT"),
        (("--no-load", "--url", "http://127.0.0.1:9"), "there are no metrics at /metrics"),
        (("tiny", "--image", "huge"), "--image huge: say jpeg for files"),
    ],
)
def test_what_cannot_be_profiled_is_refused(flags: tuple[str, ...], said: str, run: Run) -> None:
    ran = run(main, *flags)
    assert ran.code == 2
    assert said in ran.err
