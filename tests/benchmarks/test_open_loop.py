"""The open loop: a generator that keeps to its schedule and hides nothing."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from math import inf

import pytest

from benchmarks import open_loop
from benchmarks.schedule import Plan, Run
from benchmarks.server import free_port
from loadtests.aside import Aside
from loadtests.http1 import Response, ResponseParser, render
from loadtests.poisson import arrivals


def answer(body: bytes, *, status: int = 200, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} Reason\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Server:
    """Answers each request with the first eight bytes of its body; a subclass may do otherwise."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()
        self.connections = 0
        self.connected = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def serve(self, connection: socket.socket) -> None:
        received = b""
        while piece := connection.recv(65536):
            received += piece
            head, _, body = received.partition(b"\r\n\r\n")
            if len(body) == int(head.rpartition(b" ")[2]):
                connection.sendall(answer(body[:8]))
                received = b""

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            self.connections += 1
            self.connected.set()
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.serve(connection)
            except ConnectionError:  # the generator has given it up
                return


class _Refusing(_Server):
    """Refuses by the head alone, and hangs up while the body is still on its way."""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(answer(b"{}", status=429, more="Retry-After: 3\r\nConnection: close\r\n"))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


class _HangingUp(_Server):
    """Closes each connection when it has read the head."""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(100)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[_Server]:
    server: _Server = getattr(request, "param", _Server)()
    yield server
    server.close()


def body_of(response: Response) -> bytes:
    return response.body


def plan(address: tuple[str, int], *, rate: float = 400, count: int = 4, size: int = 100, limit: int = 64) -> Plan:
    bodies = [str(number).rjust(8).encode() + bytes(size) for number in range(count)]
    requests = [render("POST", "/", body) for body in bodies]
    return Plan(address=address, requests=requests, rate=rate, seconds=0.2, seed=3, read=body_of, max_connections=limit)


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_every_request_is_answered_once_and_with_its_own_answer(server: _Server, size: int) -> None:
    """Each arrival of the schedule, on time or not, over connections that are used again."""
    planned = plan(server.address, rate=200, size=size)
    run = open_loop.run(planned)
    assert [one.scheduled for one in run.answers] == [*arrivals(200, 0.2, seed=3)]
    assert [one.request for one in run.answers] == [number % 4 for number in range(len(run.answers))]
    assert all(one.seen == str(one.request).rjust(8).encode() for one in run.answers)
    assert all(one.scheduled <= one.sent <= one.done and one.status == 200 for one in run.answers)
    assert server.connections == run.connections


@pytest.mark.parametrize("server", [_Refusing], indirect=True)
def test_an_answer_before_the_body_is_gone_is_an_answer(server: _Server) -> None:
    """A refusal by the head is counted with its status and its Retry-After, not as a broken connection."""
    run = open_loop.run(plan(server.address, rate=100, size=3_000_000))
    assert run.answers
    assert {(one.status, one.retry_after) for one in run.answers} == {(429, 3.0)}


@pytest.mark.parametrize("server", [_HangingUp], indirect=True)
def test_a_connection_closed_before_the_answer_is_told(server: _Server) -> None:
    run = open_loop.run(plan(server.address))
    assert {one.status for one in run.answers} == {0}
    assert all("closed before the answer" in str(one.seen) or "reset" in str(one.seen) for one in run.answers)


def test_a_service_that_is_not_there_is_told() -> None:
    run = open_loop.run(plan(("127.0.0.1", free_port())))
    assert Counter(one.status for one in run.answers) == {0: len([*arrivals(400, 0.2, seed=3)])}


def test_a_request_without_a_free_connection_waits_and_is_counted(server: _Server) -> None:
    """With one connection for everybody, most find it busy; none is lost."""
    run = open_loop.run(plan(server.address, rate=20_000, limit=1))
    assert run.connections == 1
    assert run.starved > 0
    assert {one.status for one in run.answers} == {200}


def test_a_run_can_be_ended_early_and_waits_for_its_answers(server: _Server) -> None:
    """Without end by its schedule, it ends when it is told to; what was sent is answered."""
    endless = plan(server.address)
    with Aside() as aside:
        aside.start(
            open_loop.run,
            plan=Plan(address=endless.address, requests=endless.requests, rate=400, seconds=inf, seed=3, read=body_of),
        )
        assert server.connected.wait(30)  # it has begun
        aside.stop()
        run: Run = aside.result()
    assert {one.status for one in run.answers} == {200}


def test_the_command_prints_its_figures_and_its_verdict(server: _Server, capsys: pytest.CaptureFixture[str]) -> None:
    """Against any server; here one whose answers are 200 with nothing in them."""
    host, port = server.address
    options = ["--url", f"http://{host}:{port}", "--rate", "20", "--seconds", "0.3"]
    open_loop.main(options)
    printed = capsys.readouterr().out
    assert "accepted p99" in printed
    assert "Verdict: " in printed


def test_the_parser_keeps_the_head() -> None:
    """Readers may look at the headers, whatever the case of their names."""
    response = ResponseParser().feed(answer(b"x", more="Retry-AFTER:  7\r\n"))
    assert response is not None
    assert response.header("retry-after") == "7"
    assert response.header("server") is None
