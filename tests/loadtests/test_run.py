"""A whole run of a few seconds against the real service, as a person starts it; and what the commands say of it."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from benchmarks.server import free_port
from loadtests import results
from loadtests.__main__ import main
from loadtests.results import Run
from loadtests.run import INTERRUPTED
from tests.testkit.serving_process import ROOT, ServingProcess

pytestmark = pytest.mark.untraced

QUICK = ("--warm-up", "0.1", "--window", "0.5", "--windows-most", "3")
HOPELESS = "closed:\n  - {mix: random, workers: 2, min_throughput: 1000000}\n"


def loadtests(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loadtests", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Said:
    """What a command that was called in this process said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Said]]:
    """The command line as a function: a process of its own takes two seconds to import what draws the report."""
    on_term = signal.getsignal(signal.SIGTERM)

    def call(*arguments: str | Path) -> Said:
        try:
            code = main([*map(str, arguments)])
        except SystemExit as ending:  # argparse's way
            code = ending.code if isinstance(ending.code, int) else 1
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    yield call
    signal.signal(signal.SIGTERM, on_term)


def address(service: ServingProcess) -> str:
    return f"http://127.0.0.1:{service.port}"


@contextmanager
def running(service: ServingProcess, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that is measuring two workers, of the only photo in docs/."""
    command = [sys.executable, "-m", "loadtests", "run", "--url", address(service), "--output", str(folder)]
    command += ["--no-null", "--workers", "2", "--mixes", "random", "--p99-ms", "", "--photos", "docs", *QUICK]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = iter(process.stderr)
        next(line for line in said if "random × 2" in line)
        next(line for line in said if "window 1" in line)  # by then Locust is there, and not at the end
        yield process


@dataclass(frozen=True)
class Done:
    folder: Path
    said: subprocess.CompletedProcess[str]
    run: Run

    @property
    def stored(self) -> Path:
        return self.folder / "run.json"


@pytest.fixture(scope="module")
def done(service: ServingProcess, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("results")
    more = ("--workers", "2", "--mixes", "random", "--rates", "20", "--rate-seconds", "1", "--p99-ms", "")
    where = ("--url", address(service), "--output", folder, "--name", "smoke", "--photos", "docs")
    said = loadtests("run", *where, *QUICK, *more)
    assert said.returncode in {0, 2}, said.stderr  # 2: a busy machine held the generator up
    return Done(folder, said, results.load(folder / "run.json"))


def test_every_answer_of_every_loop_was_right(done: Done) -> None:
    assert [cell.workers for cell in done.run.closed] == [2]
    for cell in done.run.closed:
        assert cell.errors == {}
        assert cell.latency is not None
        assert set(cell.scenarios) == {"raw", "jpeg", "oip"}
    [run] = done.run.open
    assert run.errors == {}


def test_the_server_s_own_figures_are_of_the_same_windows(done: Done) -> None:
    for cell in done.run.closed:
        assert cell.server is not None
        assert cell.server.cpu_cores is not None
        assert set(cell.server.stages) == {"decode", "resize", "queue", "inference"}
    assert {moment.phase for moment in done.run.moments} >= {"null backend", "random × 2", "random at 20/s"}


def test_the_generators_own_limits_were_measured_first(done: Done) -> None:
    null = done.run.null
    assert null is not None
    assert [(cell.workers, cell.errors) for cell in null.closed] == [(2, {})]
    assert null.floor is not None


def test_the_report_is_written_and_shown(done: Done) -> None:
    page = (done.folder / "report.html").read_text()
    assert "smoke" in page
    assert page.count("<svg") >= 4
    assert (done.folder / "report.md").read_text().strip() == done.said.stdout.strip()


def test_progress_is_told_while_it_runs(done: Done) -> None:
    assert "random × 2" in done.said.stderr
    assert "window 1: " in done.said.stderr


def test_the_gate_says_no_with_the_reason_and_its_exit_code(
    command: Callable[..., Said], done: Done, tmp_path: Path
) -> None:
    objectives = tmp_path / "slo.yaml"
    objectives.write_text(HOPELESS)
    settled = next(cell for cell in done.run.closed if cell.workers == 2).settled
    said = command("gate", done.stored, "--slo", objectives)
    assert said.returncode == (1 if settled else 2)
    assert "throughput" in said.stdout


def test_a_run_against_itself_has_not_changed(command: Callable[..., Said], done: Done, tmp_path: Path) -> None:
    said = command("report", done.stored, "--baseline", done.stored, "--output", tmp_path)
    assert said.returncode == 0, said.stderr
    assert "worse" not in said.stdout.split("## Against the baseline")[1].split("\n")[0]
    assert results.load(tmp_path / "run.json") == done.run


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(["run", "--url", "{nobody}"], "nothing answers at", id="no server"),
        pytest.param(["gate", "pyproject.toml"], "is not a stored run", id="no run"),
        pytest.param(["gate", "{run}", "--slo", "pyproject.toml"], "pyproject.toml", id="no objectives"),
        pytest.param(["run", "--url", "{server}", "--photos", "docs/decisions"], "no .jpg file", id="no photos"),
        pytest.param(["run", "--url", "{server}", "--model-repository", "docs"], "--model-repository", id="no model"),
        pytest.param(["run", "--url", "{server}", "--scenarios", "grpc"], "--grpc host:port", id="no gRPC target"),
        pytest.param(
            ["run", "--url", "{server}", "--scenarios", "grpc", "--grpc", "127.0.0.1:1"], "HTTP only", id="open gRPC"
        ),
        pytest.param(["run", "--url", "{server}", "--mixes", "", "--p99-ms", ""], "nothing to measure", id="nothing"),
        pytest.param(["run", "--workers", "1,0"], "at least 1", id="no workers"),
        pytest.param(["run", "--mixes", "easy"], "none of random, complex", id="no mix"),
    ],
)
def test_what_cannot_be_done_is_said_with_code_2(
    command: Callable[..., Said],
    done: Done,
    service: ServingProcess,
    arguments: list[str],
    told: str,
    tmp_path: Path,
) -> None:
    values = {"nobody": f"http://127.0.0.1:{free_port()}", "run": str(done.stored), "server": address(service)}
    given = [one.format(**values) for one in arguments]
    said = command(*given, *(("--output", str(tmp_path)) if arguments[0] == "run" else ()))
    assert said.returncode == 2, said.stderr
    assert told in said.stderr


def test_what_cannot_be_written_is_said_before_anything_is_measured(
    command: Callable[..., Said], service: ServingProcess
) -> None:
    """In the words of the error alone."""
    said = command("run", "--url", address(service), "--output", "pyproject.toml")
    assert said.returncode == 2
    assert said.stderr.startswith("results cannot be written to pyproject.toml")
    assert "queries" not in said.stderr


def test_the_history_of_a_folder_has_each_run_in_it(command: Callable[..., Said], done: Done, tmp_path: Path) -> None:
    said = command("history", done.folder, "--output", tmp_path)
    assert said.returncode == 0, said.stderr
    assert "### random × 2" in said.stdout
    assert "smoke" in (tmp_path / "history.html").read_text()
    nothing = command("history", tmp_path, "--output", tmp_path)
    assert nothing.returncode == 2
    assert "holds no stored run" in nothing.stderr


class Watched(io.StringIO):
    """The terminal of a run, which kills its generator while two workers are measured."""

    def write(self, text: str) -> int:
        if "window 1" in text and "random × 2" in self.getvalue():
            for one in psutil.Process().children():
                if one.status() != psutil.STATUS_ZOMBIE and "locust" in one.cmdline():
                    one.kill()
        return super().write(text)


def test_a_generator_that_dies_makes_the_run_invalid_with_what_it_has(
    command: Callable[..., Said], service: ServingProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stderr", Watched())
    least = ("--no-null", "--workers", "1,2", "--mixes", "random", "--p99-ms", "", "--photos", "docs", *QUICK)
    said = command("run", "--url", address(service), "--output", tmp_path, *least)
    assert said.returncode == 2
    found = results.load(tmp_path / "run.json")
    assert [cell.workers for cell in found.closed] == [1]
    assert found.faults
    assert found.faults[0].startswith("Locust ended with -9")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_what_it_has_and_says_so(
    service: ServingProcess, number: signal.Signals, tmp_path: Path
) -> None:
    """By the keyboard, or by `docker stop`; nothing of it goes on without it. What it keeps is as above."""
    with running(service, tmp_path) as process:
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.communicate()
    assert process.returncode == 2
    assert started
    assert [one for one in started if one.is_running()] == []
    found = results.load(tmp_path / "run.json")
    assert found.faults == [INTERRUPTED]
    assert found.closed == []
