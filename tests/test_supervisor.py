"""Several worker processes: they share the port and the metrics, are replaced when they die, and end together."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from service import supervisor
from service.supervisor import Life, Supervisor
from tests.serving_process import RAW, READY, HeldRequest, ServingProcess, classify_path
from tests.tiny_models import CLASSIFIER_CONFIG, write_model


def workers_of(process: ServingProcess) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("everyone", [False, True], ids=["the supervisor", "everyone, as Ctrl-C does"])
def test_workers_serve_together_and_end_together(everyone: bool) -> None:
    """Whoever answers `/metrics` adds all up; a signal answers what is in flight, exits 0 and leaves no child."""
    with ServingProcess("--backend", "null", "--workers", "2") as process:
        process.wait_for_log(READY, count=2)
        for _ in range(20):
            assert process.classify(b"rgb", height=1, width=1).status == 200
        assert {process.metric("topfive_images_total") for _ in range(5)} == {20}
        assert {process.metric("topfive_ready") for _ in range(5)} == {2}
        held = [HeldRequest(process, classify_path(height=1, width=1), b"rgb", RAW) for _ in range(6)]
        children = workers_of(process)
        assert len(children) >= 2
        for target in [*children, psutil.Process(process.pid)] if everyone else [psutil.Process(process.pid)]:
            target.send_signal(signal.SIGINT if everyone else signal.SIGTERM)
        process.wait_for_log("Shutting down", count=2)
        for request in held:
            request.send()
        assert [request.answer().status for request in held] == [200] * 6
        assert process.wait() == 0
        assert psutil.wait_procs(children, timeout=10)[1] == []
        assert "Traceback" not in "".join(process.log)


def test_workers_that_cannot_serve_end_the_service(tmp_path: Path) -> None:
    """Rather than restart for ever: exit code 2 and the line that says why."""
    write_model(tmp_path, "m", CLASSIFIER_CONFIG, b"broken")
    with ServingProcess("--workers", "2", "--model-repository", str(tmp_path)) as process:
        assert process.wait() == 2
        assert "m/1/model.onnx" in "".join(process.log)
        assert "Traceback" not in "".join(process.log)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as made:
        made.set_inheritable(True)
        yield made


@pytest.fixture
def signals() -> Iterator[None]:
    """Give this process' own handlers back: `Supervisor.run` takes them."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def tell_pid(listener: socket.socket, life: Life) -> None:
    """A worker that tells everybody who connects its process id, and ends well on SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(str(os.getpid()).encode())


def tell_pid_and_stay(listener: socket.socket, life: Life) -> None:
    """The same, but deaf to SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(str(os.getpid()).encode())


def fail_when_asked(listener: socket.socket, life: Life) -> None:
    """A worker that fails for whoever connects, and until then dies of SIGTERM, as one that is starting does."""
    listener.accept()
    sys.exit(3)


def ask_pid(listener: socket.socket) -> int:
    """The process id of the worker that answers; waits for one that lives."""
    with socket.create_connection(listener.getsockname()) as connection:
        return int(connection.makefile().read())


def supervise(
    work: Callable[[socket.socket, Life], None],
    listener: socket.socket,
    meanwhile: Callable[[], None],
    *,
    stop_seconds: float = 30.0,
) -> tuple[int, list[int]]:
    """Run one `work` until `meanwhile`, on a thread of its own, is done; the exit code and the dead."""
    dead: list[int] = []

    def steer() -> None:
        try:
            meanwhile()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=steer)
    made = Supervisor(work, listener=listener, count=1, stop_seconds=stop_seconds, on_death=dead.append)
    thread.start()
    code = made.run()
    thread.join()
    return code, dead


@pytest.mark.usefixtures("signals")
def test_a_worker_that_dies_is_replaced(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_EARLY_SECONDS", 0.0)
    seen: list[int] = []

    def kill_one() -> None:
        seen.append(ask_pid(listener))
        worker = psutil.Process(seen[0])
        worker.kill()
        psutil.wait_procs([worker])
        seen.append(ask_pid(listener))

    code, dead = supervise(tell_pid, listener, kill_one)
    assert code == 0
    assert seen[0] != seen[1]
    assert dead == seen


@pytest.mark.usefixtures("signals")
def test_a_worker_that_dies_at_once_ends_all(listener: socket.socket) -> None:
    """With its own exit code, whatever the others say to being stopped: restarting it would go on for ever."""
    dead: list[int] = []
    made = Supervisor(fail_when_asked, listener=listener, count=2, stop_seconds=30.0, on_death=dead.append)
    with socket.create_connection(listener.getsockname()):
        assert made.run() == 3
    assert len(set(dead)) == 2


@pytest.mark.usefixtures("signals")
def test_a_worker_that_does_not_stop_is_killed(listener: socket.socket) -> None:
    """It counts as a failure: the exit code is not 0."""
    seen: list[int] = []
    code, dead = supervise(tell_pid_and_stay, listener, lambda: seen.append(ask_pid(listener)), stop_seconds=0.2)
    assert code == signal.SIGKILL
    assert dead == seen
    assert not psutil.pid_exists(seen[0])
