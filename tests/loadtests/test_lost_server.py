"""A real run whose real server is killed, hangs, or is another than before: it ends, INVALID, with what it has."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from loadtests import progress, report, run, target, windows
from loadtests.progress import Progress
from loadtests.results import Run
from loadtests.run_plan import RunPlan
from loadtests.windows import Rule
from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.tiny_models import write_tiny_repository

pytestmark = pytest.mark.untraced

PATIENCE_SECONDS = 3.0
WINDOWS_MOST = 30


@pytest.fixture(autouse=True)
def never_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the loss ends a run: three windows that agree could end it before three questions have told of the loss."""
    monkeypatch.setattr(windows, "AGREED", WINDOWS_MOST)


def _nothing() -> None:
    """What happens after it has happened."""


class Trigger(io.StringIO):
    """What the run says; when it has measured so much, something happens to the server."""

    def __init__(self, happens: Callable[[], None]) -> None:
        super().__init__()
        self._happens = happens

    def write(self, text: str) -> int:
        if "window 2" in text:
            self._happens()
            self._happens = _nothing
        return super().write(text)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_repository(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def server(repository: Path) -> Iterator[ServingProcess]:
    """A service of its own, which may be killed."""
    with serving("--model-repository", str(repository), "--default-model", "tiny") as process:
        yield process


def measured(
    server: ServingProcess, repository: Path, happens: Callable[[], None], *, metrics: str = ""
) -> tuple[Run, str]:
    """A run of one cell, after two windows of which it happens; and what it said."""
    aim = target.find(f"http://127.0.0.1:{server.port}", model="classify", metrics_url=metrics)
    plan = RunPlan(
        workers=[2],
        mixes=["random"],
        scenarios=["raw"],
        rule=Rule(warm_up_seconds=0.1, window_seconds=0.4, windows_most=WINDOWS_MOST),
        null=False,
        capacity_p99_seconds=(),
        photos=Path("docs"),
        repository=repository,
        model="classify",
    )
    stream = Trigger(happens)
    with Progress(progress.steps(plan), stream) as telling:
        found = run.run(aim, plan, run.Asked(name="lost", patience_seconds=PATIENCE_SECONDS), telling)
    return found, stream.getvalue()


def test_a_server_that_is_killed_ends_the_run_with_what_was_measured(
    server: ServingProcess, repository: Path, tmp_path: Path
) -> None:
    found, said = measured(server, repository, lambda: os.kill(server.pid, signal.SIGKILL))
    assert found.lost is not None
    assert found.faults == [found.lost.reason]
    assert found.lost.reason == "the server is gone: /v2/health/live: connection refused, 3 times in a row"
    assert f"!! SERVER LOST: {found.lost.reason}" in said
    [cell] = found.closed
    assert (cell.cut, cell.settled) == (True, False)
    assert all(window.began + window.seconds <= found.lost.at + 1e-6 for window in cell.windows)
    assert cell.latency is not None
    report.write(found, tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "SERVER LOST at 0:" in page
    assert "cut short: the server was lost" in page


def test_a_server_that_hangs_is_said_and_waited_for_only_so_long(server: ServingProcess, repository: Path) -> None:
    try:
        found, said = measured(server, repository, lambda: os.kill(server.pid, signal.SIGSTOP))
    finally:
        os.kill(server.pid, signal.SIGCONT)
    assert found.lost is not None
    assert found.lost.reason.startswith("the server hangs: it has answered nothing for ")
    assert said.index("!! the server does not answer") < said.index("!! SERVER LOST: the server hangs")
    assert [gap.of for gap in found.gaps if gap.of == "health"] == ["health"]
    assert found.closed[0].cut


class Metrics(BaseHTTPRequestHandler):
    """What a server tells of its start."""

    began = 1000.0

    def do_GET(self) -> None:
        body = f"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {self.began}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def test_a_server_that_was_restarted_behind_a_balancer_is_not_the_one_that_was_measured(
    server: ServingProcess, repository: Path
) -> None:
    """A balancer hides that a connection was refused; the start of the process still tells."""
    balancer = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    thread = Thread(target=balancer.serve_forever)
    thread.start()
    try:
        happens = lambda: setattr(Metrics, "began", 1042.0)  # noqa: E731
        found, said = measured(
            server, repository, happens, metrics=f"http://127.0.0.1:{balancer.server_address[1]}/metrics"
        )
    finally:
        balancer.shutdown()
        thread.join()
        balancer.server_close()
    assert found.faults == ["the server was restarted: its process began 42.0 s later than the one before"]
    assert f"!! SERVER LOST: {found.faults[0]}" in said
