"""The process itself: it starts, refuses what it cannot serve, and stops without leaving anybody unanswered."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.testkit.serving_process import (
    RAW,
    READY,
    ROOT,
    HeldRequest,
    ServingProcess,
    classify_path,
    read_answer,
    serving,
)
from tests.testkit.tiny_models import (
    BATCHING,
    CLASSIFIER_CONFIG,
    OUTPUTS,
    PIXELS,
    Tensor,
    classifier_graph,
    config,
    copy_real_repository,
    endless_start,
    hanging_graph,
    unending_graph,
    write_model,
    write_tiny_repository,
)
from topfive import __version__
from topfive.config.settings import Settings

DRAINING = "the service is draining"
SHUTTING_DOWN = "Shutting down"


def test_where_the_log_says_that_it_listens_it_listens() -> None:
    """Nobody who waits for that line is refused: a connection made at once is answered."""
    with ServingProcess("--backend", "null", cold=True) as process, process.open_socket() as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: test\r\n\r\n")
        assert read_answer(connection).status == 200


def test_in_a_checkout_it_starts_by_its_old_name_too() -> None:
    """Scripts that say `python -m service` go on."""
    command = (sys.executable, "-m", "service", "--version")
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert ended.stdout == f"topfive {__version__}\n"


def test_a_signal_before_anything_is_loaded_ends_it_in_order() -> None:
    """As the first process of a container it would not even notice one that nobody handles."""
    command = [sys.executable, "-X", "importtime", "-m", "topfive", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert any(line.endswith(" uvicorn\n") for line in process.stderr)  # most is still to come
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
    assert process.returncode == 0


def test_every_line_of_the_log_is_json(service: ServingProcess) -> None:
    service.wait_for_log(READY)
    lines = [json.loads(line) for line in list(service.log)]
    assert all({"time", "level", "logger"} <= set(line) for line in lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_under_load_leaves_nobody_unanswered(number: int) -> None:
    """Requests whose bodies are still on their way are answered; nobody new is let in; the exit code is 0."""
    with serving() as process:
        path, body = classify_path(height=300, width=400, count=2), bytes(2 * 300 * 400 * 3)
        held = [HeldRequest(process, path, body, RAW) for _ in range(12)]
        for request in held:
            request.send(len(body) // 2)
        address = ("127.0.0.1", process.port)
        process.signal(number)
        process.wait_for_log(SHUTTING_DOWN)
        for request in held:
            request.send()
        answers = [request.answer() for request in held]
        assert [answer.status for answer in answers] == [200] * 12
        assert all(len(answer.json["images"]) == 2 for answer in answers)
        assert process.wait() == 0
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        assert "Traceback" not in "".join(process.log)


def test_a_signal_answers_at_once_what_waits_for_company(tmp_path: Path) -> None:
    """While draining, no batch waits out its `max_queue_delay_microseconds`: here an hour."""
    delay = {"max_queue_delay_microseconds: 0": "max_queue_delay_microseconds: 3600000000"}
    repository = copy_real_repository(tmp_path / "models", classify_replacements=delay)
    with serving("--backend", "null", "--model-repository", str(repository), "--shutdown-seconds", "3") as process:
        request = HeldRequest(process, classify_path(height=1, width=1), b"rgb", RAW)
        request.send()
        process.wait_until(lambda: process.metric("topfive_queue_items") == 1)
        process.signal(signal.SIGTERM)
        assert request.answer().status == 200
        assert process.wait() == 0


def test_a_signal_breaks_the_start_off(tmp_path: Path) -> None:
    """In the middle of a warm-up, however long: the exit code is 0."""
    with ServingProcess("--model-repository", str(endless_start(tmp_path / "models"))) as process:
        process.wait_for_log("Application startup complete")
        assert process.stop() == 0
        assert READY not in "".join(process.log)


def test_the_grace_reports_not_ready_and_still_serves() -> None:
    """So that a load balancer can notice before anybody is refused; a second signal ends it."""
    with serving("--backend", "null", "--drain-grace-seconds", "3600") as process:
        process.signal(signal.SIGTERM)
        process.wait_for_log(DRAINING)
        process.ask("GET", "/v2/health/ready").assert_error(503, "not_ready")
        assert process.ask("GET", "/v2/health/live").json == {"live": True, "state": "draining"}
        assert process.metric("topfive_ready") == 0
        assert process.classify(b"rgb", height=1, width=1).status == 200
        assert process.stop() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_clients_that_never_finish_do_not_stop_the_stop(workers: str) -> None:
    """Who is silent, has sent half of a head or of a body, or reads nothing: all are let go long before Docker kills.

    Whose body is not whole is told to come again. Here the bound on the whole stop is far away.
    """
    flags = ("--backend", "null", "--workers", workers, "--shutdown-seconds", "3600")
    with ServingProcess(*flags) as process, ExitStack() as stack:
        process.wait_for_log(READY, count=int(workers))
        held = HeldRequest(process, classify_path(height=1, width=1), b"rgb", RAW)
        held.send(1)
        _, head, reader, grpc = [stack.enter_context(process.open_socket()) for _ in range(3)] + [
            stack.enter_context(socket.create_connection(("127.0.0.1", process.grpc_port)))
        ]
        head.sendall(b"POST /v1/cl")
        grpc.sendall(b"PRI * HTTP/2.0")
        reader.sendall(b"GET /static/swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        process.wait_until(lambda: process.ask("GET", "/v2/health/live").status == 200)
        began = time.monotonic()
        assert process.stop() == 0
        assert time.monotonic() - began < 8.0, "Docker kills after 10"
        held.answer().assert_error(503, "not_ready")
        assert "Traceback" not in "".join(process.log)


def test_a_signal_breaks_the_start_of_workers_off(tmp_path: Path) -> None:
    """While their models load, which here takes for ever: the exit code is 0."""
    repository = str(endless_start(tmp_path / "models"))
    with ServingProcess("--workers", "2", "--model-repository", repository, "--shutdown-seconds", "3600") as process:
        process.wait_for_log("Waiting for application startup", count=2)
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        assert READY not in "".join(process.log)


def test_a_batch_that_does_not_end_fails_and_only_one_that_cannot_be_ended_ends_the_process(tmp_path: Path) -> None:
    """A graph that is at one image for years is ended, and those behind it are answered.

    One whose single node is, is not: its client and those behind it are told, and the exit code is 1.
    """
    for name, graph in (("hangs", hanging_graph()), ("unending", unending_graph())):
        write_model(tmp_path, name, CLASSIFIER_CONFIG + "instance_group { count: 1 }", graph)
    flags = ("--stuck-batch-seconds", "0.5", "--shutdown-seconds", "3600", "--cores", "1")  # of which none is waited

    def hang(model: str) -> list[tuple[int, str | None]]:
        path = classify_path(height=2, width=2, model=model)
        stuck, *behind = [HeldRequest(process, path, bytes([v]) * 12, RAW) for v in (255, 7, 7, 7)]
        stuck.send()
        process.ask("GET", "/v2/health/live")  # when this is answered, what was sent before it has been read
        for request in behind:
            request.send()
        answers = [request.answer() for request in (stuck, *behind)]
        return [(answer.status, answer.json.get("code")) for answer in answers]

    with serving("--model-repository", str(tmp_path), *flags) as process:
        assert hang("hangs") == [(500, "internal"), *[(200, None)] * 3]
        assert hang("unending") == [(500, "internal")] * 4
        assert process.wait() == 1
        assert "a batch of 1 has run for more than 0.5 s" in process.wait_for_log("the service has failed")


def test_help_names_every_setting() -> None:
    with ServingProcess("--help", cold=True) as process:
        assert process.wait() == 0
        text = "".join(process.log)
    assert [name for name in Settings.model_fields if f"--{name.replace('_', '-')}" not in text] == []


# What cannot be served: exit code 2 and one line that says what and where.


def refusal(*flags: str, **environment: str) -> str:
    """The one line that is left of a process that refused to start."""
    with ServingProcess(*flags, environment=environment) as process:
        assert process.wait() == 2, process.log
        log = list(process.log)
    assert "Traceback" not in "".join(log)
    complaints = [line for line in log if line.startswith("topfive: ") or '"level":"critical"' in line]
    assert len(complaints) == 1, log
    return complaints[0]


def test_a_graph_that_never_ends_is_named_and_does_not_hold_up_the_end(tmp_path: Path) -> None:
    """Not even the runtime can end it: its thread is left behind."""
    write_model(tmp_path, "unending", CLASSIFIER_CONFIG, unending_graph(always=True))
    line = refusal("--model-repository", str(tmp_path), "--load-seconds", "0.5")
    assert "unending/1/model.onnx: its warm-up did not end within 0.5 s" in line


def refuse_models(repository: Path) -> str:
    return refusal("--model-repository", str(repository))


@pytest.mark.parametrize(
    ("flags", "environment", "words"),
    [
        ([], {"TOPFIVE_MAX_BODY_BITES": "1"}, ["TOPFIVE_MAX_BODY_BITES", "--help"]),
        ([], {"TOPFIVE_MAX_BODY_BYTES": "many"}, ["TOPFIVE_MAX_BODY_BYTES", "--max-body-bytes", "'many'"]),
        (["--port", "99999"], {}, ["--port", "99999"]),
        (["--backend", "cuda"], {}, ["--backend", "'cuda'"]),
        (["--max-in-flight-bytes", "1"], {}, ["max_in_flight_bytes", "max_body_bytes"]),
        (["--host", "256.256.256.256"], {}, ["256.256.256.256"]),
        (["--model-repository", "no/such/folder"], {}, ["no/such/folder", "TOPFIVE_MODEL_REPOSITORY"]),
        (["--model-repository", "docs"], {}, ["docs", "config.pbtxt"]),
        (["--precision", "int4"], {}, ["--precision", "'int4'", "'auto', 'fp32' or 'int8'"]),
        (["--backend", "null"], {"TOPFIVE_PRECISION": "int8"}, ["'int8' needs the backend 'embedded'", "'null'"]),
    ],
)
def test_a_setting_that_cannot_be_is_refused(flags: list[str], environment: dict[str, str], words: list[str]) -> None:
    line = refusal(*flags, **environment)
    assert [word for word in words if word not in line] == []


def test_a_flag_that_does_not_exist_is_refused() -> None:
    with ServingProcess("--colour", "red") as process:
        assert process.wait() == 2
        assert "--colour" in process.log[-1]


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port}" in refusal("--port", str(port), "--backend", "null")


def write_config(replace: str, by: str) -> Callable[[Path], str]:
    def write(repository: Path) -> str:
        assert replace in CLASSIFIER_CONFIG
        folder = write_model(repository, "m", CLASSIFIER_CONFIG.replace(replace, by), classifier_graph())
        return str(folder / "config.pbtxt")

    return write


def write_graph(graph: bytes) -> Callable[[Path], str]:
    def write(repository: Path) -> str:
        return str(write_model(repository, "m", CLASSIFIER_CONFIG, graph) / "1" / "model.onnx")

    return write


def without_graph(repository: Path) -> str:
    return str(write_model(repository, "m", CLASSIFIER_CONFIG) / "1" / "model.onnx")


def without_version(repository: Path) -> str:
    return str(write_model(repository, "m", CLASSIFIER_CONFIG, versions=()))


HALF = classifier_graph()[: len(classifier_graph()) // 2]
RENAMED: Tensor = ("pixel", *PIXELS[1:])


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (write_config("dynamic_batching", "optimization"), ["optimization"]),
        (write_config("dynamic_batching {", "dynamic_batching { preserve_ordering: true"), ["preserve_ordering"]),
        (write_config('backend: "onnxruntime"', 'backend: "pytorch"'), ["pytorch"]),
        (write_config("max_batch_size: 8", "max_batch_size: 0"), ["max_batch_size"]),
        (write_config("max_batch_size: 8", "max_batch_size = 8"), ["not a model configuration"]),
        (write_graph(b""), []),
        (write_graph(b"this is no graph"), []),
        (write_graph(HALF), []),
        (write_graph(classifier_graph(RENAMED)), ["pixel", "pixels"]),
        (write_graph(classifier_graph(labels=3)), []),
        (without_graph, ["missing"]),
        (without_version, ["version"]),
    ],
    ids=[
        "field",
        "nested field",
        "backend",
        "batch size",
        "no text format",
        "empty graph",
        "no graph",
        "half a graph",
        "other tensors",
        "fails at warm-up",
        "missing graph",
        "no version",
    ],
)
def test_a_model_that_cannot_be_served_is_refused(
    tmp_path: Path, write: Callable[[Path], str], words: list[str]
) -> None:
    """The line names the file."""
    file = write(tmp_path)
    line = refuse_models(tmp_path)
    assert [word for word in [file, *words] if word not in line] == []


def test_one_bad_model_stops_all(tmp_path: Path) -> None:
    """A service that lacks a model its repository has is no service: it does not become ready without it."""
    write_tiny_repository(tmp_path)
    write_model(tmp_path, "zz", config([PIXELS], OUTPUTS, BATCHING), b"broken")
    with ServingProcess("--model-repository", str(tmp_path)) as process:
        assert process.wait() == 2
        assert READY not in "".join(process.log)
