"""Locust by itself, with and without its page: every scenario, every mix, checked answers, real worker processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.server import free_port
from loadtests import corpus, query_files
from loadtests.oracle import Oracle
from loadtests.queries import SCENARIOS
from loadtests.recorder import Reader, Sample
from loadtests.run_plan import MODEL, REPOSITORY
from tests.testkit.serving_process import ROOT, ServingProcess
from tests.testkit.tiny_models import write_tiny_repository

pytestmark = pytest.mark.untraced

DEADLINE_SECONDS = 60.0
MISTAKEN = "mistaken"


@pytest.fixture(scope="module")
def queries(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those of a few photos, one with a label that is wrong, and the files of the worst.

    Its raw pixels are a hundred megabytes for each process.
    """
    folder = tmp_path_factory.mktemp("queries")
    oracle = Oracle(REPOSITORY, MODEL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "PHOTOS", 8)
        photos = corpus.photos(None, seed=1)
    random = [*corpus.build(photos, oracle, mixes=["random"], scenarios=SCENARIOS)]
    mistaken = replace(next(one for one in random if one.scenario == "oip"), kind=MISTAKEN, expected="nothing")
    worst = corpus.build(photos, oracle, mixes=["complex"], scenarios=["jpeg"])
    query_files.write([*random, mistaken, *worst], folder)
    return folder


@contextlib.contextmanager
def locust(host: str, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Locust with our file, until the end of the block."""
    command = [sys.executable, "-m", "locust", "--locustfile", "loadtests/locustfile.py", "--host", host, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=DEADLINE_SECONDS)


def answered(host: str, queries: Path, folder: Path, *options: str, enough: int, users: int = 4) -> Sequence[Sample]:
    """The samples of a load of so many users, at least so many."""
    reader, found = Reader(folder), list[Sample]()
    load = (
        "--headless",
        "--users",
        str(users),
        "--spawn-rate",
        str(users),
        "--corpus",
        str(queries),
        "--samples",
        str(folder),
    )
    with locust(host, *load, *options) as process:
        end = time.monotonic() + DEADLINE_SECONDS
        while len(found) < enough:
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < end, f"{len(found)} answers"
            time.sleep(0.05)  # another process can only be asked again
            found += reader.new()
    return found + reader.new()


def host(service: ServingProcess) -> str:
    return f"http://127.0.0.1:{service.port}"


def test_each_scenario_over_http_is_sent_and_answered_right(
    service: ServingProcess, queries: Path, tmp_path: Path
) -> None:
    """And a label that is not the expected one is an error, as every label is checked."""
    found = answered(host(service), queries, tmp_path, "Mixed", enough=60)
    assert {sample.error for sample in found if sample.kind != MISTAKEN} == {""}
    assert {sample.error for sample in found if sample.kind == MISTAKEN} == {"wrong label"}
    assert {sample.scenario for sample in found if sample.kind != MISTAKEN} == {"raw", "jpeg", "oip"}
    assert all(sample.ended > sample.started for sample in found)


def test_the_worst_that_is_legal_is_answered_right(service: ServingProcess, queries: Path, tmp_path: Path) -> None:
    """12 megapixels, 20:1, CMYK, EXIF, 16 bits, palettes, nine pixels: the service and the oracle agree on them all."""
    more = ("--mix", "complex", "--scenarios", "jpeg", "Mixed")
    found = answered(host(service), queries, tmp_path, *more, enough=8, users=1)  # one user sends each once, then again
    assert {sample.error for sample in found} == {""}
    assert len({sample.kind for sample in found}) == 8


def test_grpc_is_sent_by_real_worker_processes(service: ServingProcess, queries: Path, tmp_path: Path) -> None:
    more = ("--processes", "2", "--grpc-target", service.grpc_address, "Grpc")
    found = answered(host(service), queries, tmp_path, *more, enough=20)
    assert Counter((sample.scenario, sample.error) for sample in found) == {("grpc", ""): len(found)}
    assert sum(bool(file.read_text()) for file in tmp_path.glob("samples-*.csv")) == 2


def test_a_server_that_is_not_there_is_an_error_and_not_a_latency(queries: Path, tmp_path: Path) -> None:
    found = answered(f"http://127.0.0.1:{free_port()}", queries, tmp_path, "Mixed", enough=8)
    assert {sample.error for sample in found} == {"no answer: ConnectionRefusedError"}


def test_a_shape_sets_the_number_of_users(service: ServingProcess, queries: Path, tmp_path: Path) -> None:
    shape = ("--load-shape", "spike", "--shape-users", "8", "--shape-seconds", "4.5")
    load = ("--headless", "--corpus", str(queries), "--samples", str(tmp_path), *shape, "Raw")
    with locust(host(service), *load) as process:
        assert process.wait(DEADLINE_SECONDS) == 0  # it ends by itself
    found = Reader(tmp_path).new()
    assert {sample.scenario for sample in found} == {"raw"}
    assert {1, 8} <= {sample.users for sample in found}


def test_the_page_of_locust_shows_our_users_and_options(service: ServingProcess, tmp_path: Path) -> None:
    """Started as a person does, by the command; the queries are then made by itself, for a tiny model."""
    port = free_port()
    command = [sys.executable, "-m", "loadtests", "page", "--host", host(service), "--web-port", str(port)]
    environment = {**os.environ, "LOADTEST_MIX": "complex", "LOADTEST_PHOTOS": "docs", "LOADTEST_MODEL": "classify"}
    environment["LOADTEST_MODEL_REPOSITORY"] = str(write_tiny_repository(tmp_path))
    with subprocess.Popen([*command, "--class-picker"], cwd=ROOT, env=environment, stderr=subprocess.PIPE) as process:
        try:
            page = until_answered(f"http://127.0.0.1:{port}/", process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=DEADLINE_SECONDS)
    for name in ("Raw", "Jpeg", "Oip", "Grpc", "Mixed", "mix", "photos", "model_repository"):
        assert f'"{name}"' in page


def until_answered(url: str, process: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + DEADLINE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:  # not yet
            assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.1)
