"""Several worker processes: they share the port and the metrics, are replaced when they die, and end together."""

from __future__ import annotations

import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import connection
from pathlib import Path

import psutil
import pytest

from tests.testkit.serving_process import RAW, READY, HeldRequest, ServingProcess, classify_path
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, write_model
from topfive.process import supervisor
from topfive.process.lifeline import Life, beat
from topfive.process.supervisor import Supervisor


def workers_of(process: ServingProcess) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def serving_children(process: ServingProcess) -> list[psutil.Process]:
    """The workers alone, without what Python itself has started."""
    return [child for child in workers_of(process) if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.parametrize("everyone", [False, True], ids=["the supervisor", "everyone, as Ctrl-C does"])
def test_workers_serve_together_and_end_together(everyone: bool) -> None:
    """Whoever answers `/metrics` adds all up; those that are killed, even all at once, are replaced.

    A signal answers what is in flight, exits 0 and leaves no child.
    """
    with ServingProcess("--backend", "null", "--workers", "2") as process:
        process.wait_for_log(READY, count=2)
        for _ in range(20):
            assert process.classify(b"rgb", height=1, width=1).status == 200
        assert {process.metric("topfive_images_total") for _ in range(5)} == {20}
        assert {process.metric("topfive_ready") for _ in range(5)} == {2}
        if not everyone:
            for worker in serving_children(process):  # as a request might that crashes a library
                worker.kill()
            process.wait_for_log(READY, count=4)
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
    beat(life)
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


def refuse_when_asked(listener: socket.socket, life: Life) -> None:
    """The same, for a configuration that cannot be served."""
    listener.accept()
    sys.exit(2)


def serve_and_refuse_when_asked(listener: socket.socket, life: Life) -> None:
    """One that has served before."""
    beat(life)
    with listener.accept()[0] as connection:
        connection.sendall(str(os.getpid()).encode())
    sys.exit(2)


def ask_pid(listener: socket.socket) -> int:
    """The process id of the worker that answers; waits for one that lives."""
    with socket.create_connection(listener.getsockname()) as connection:
        return int(connection.makefile().read())


def supervisor_of(
    work: Callable[[socket.socket, Life], None],
    listener: socket.socket,
    *,
    count: int = 1,
    stop_seconds: float = 30.0,
    now: Callable[[], float] = time.monotonic,
) -> tuple[Supervisor, list[int]]:
    """A supervisor, and the dead as it tells of them."""
    dead: list[int] = []
    made = Supervisor(
        work,
        listener=listener,
        count=count,
        stop_seconds=stop_seconds,
        silent_seconds=30.0,
        on_death=dead.append,
        now=now,
    )
    return made, dead


def supervise(
    work: Callable[[socket.socket, Life], None],
    listener: socket.socket,
    meanwhile: Callable[[], None],
    *,
    stop_seconds: float = 30.0,
) -> tuple[int, list[int]]:
    """Run one `work` until `meanwhile`, on a thread of its own, is done; the exit code and the dead."""

    def steer() -> None:
        try:
            meanwhile()
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=steer)
    made, dead = supervisor_of(work, listener, stop_seconds=stop_seconds)
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
@pytest.mark.parametrize(("work", "asked", "code"), [(fail_when_asked, 2, 3), (refuse_when_asked, 1, 2)])
def test_workers_that_have_never_served_end_all(
    listener: socket.socket, work: Callable[[socket.socket, Life], None], asked: int, code: int
) -> None:
    """With their exit code: once each has failed, or one cannot serve what it is told to, for no other could."""
    made, dead = supervisor_of(work, listener, count=2)
    with ExitStack() as stack:
        for _ in range(asked):
            stack.enter_context(socket.create_connection(listener.getsockname()))
        assert made.run() == code
    assert len(set(dead)) == 2


@pytest.mark.usefixtures("signals")
def test_once_one_has_served_no_death_ends_the_service(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However early, however often, however all: a client may be doing that."""
    monkeypatch.setattr(supervisor, "_LONGEST_WAIT_SECONDS", 0.0)
    seen: list[int] = []
    code, dead = supervise(serve_and_refuse_when_asked, listener, lambda: seen.extend(ask_pid(listener) for _ in "abc"))
    assert code == 0
    assert dead[:3] == seen


def test_each_that_fails_is_replaced_later_within_a_bound() -> None:
    place = supervisor._Place()
    assert [place.failed(100.0) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert place.free_until == 108.0


def test_a_worker_that_cannot_be_started_is_tried_again(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Here for want of files."""
    made, _ = supervisor_of(tell_pid, listener, now=lambda: 50.0)
    (place,) = made._places
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    file = os.dup(0)  # the lowest number that is free
    os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (file + 1, hard))
    try:
        made._start(place)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (place.worker, place.free_until) == (None, 51.0)
    assert "Too many open files" in caplog.text


def test_a_worker_that_is_well_no_longer_is_killed_unless_nobody_ran(
    listener: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stopped, as a loop would be that is stuck. While all of the machine stood still, nobody could have told."""
    clock = [0.0]
    made, _ = supervisor_of(tell_pid, listener, now=lambda: clock[0])
    (place,) = made._places
    made._start(place)
    assert place.worker is not None
    assert place.pulse is not None
    made._look([])
    for _ in range(30):  # a long start
        clock[0] += 4.0
        made._look([])
    made._look(connection.wait([place.pulse]))
    os.kill(place.worker.pid or 0, signal.SIGSTOP)
    clock[0] += 3600.0
    for _ in range(8):
        made._look([])
        clock[0] += 4.0
    assert place.worker.is_alive()
    assert caplog.messages == []
    made._look([])
    connection.wait([place.worker.sentinel])
    made._bury(place, place.worker)
    assert len(caplog.messages) == 1
    assert "30 s" in caplog.messages[0]


def test_what_a_worker_leaves_behind_ends_nobody(listener: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    made, _ = supervisor_of(fail_when_asked, listener)
    (place,) = made._places
    made._start(place)
    worker = place.worker
    assert worker is not None
    worker.kill()

    def full(_: int) -> None:
        raise OSError("the disk is full")

    made._on_death = full
    made._bury(place, worker)
    assert made._workers() == []
    assert "cannot be cleared up" in caplog.text


@pytest.mark.usefixtures("signals")
def test_a_worker_that_does_not_stop_is_killed(listener: socket.socket) -> None:
    """It counts as a failure: the exit code is not 0."""
    seen: list[int] = []
    code, dead = supervise(tell_pid_and_stay, listener, lambda: seen.append(ask_pid(listener)), stop_seconds=0.2)
    assert code == signal.SIGKILL
    assert dead == seen
    assert not psutil.pid_exists(seen[0])
