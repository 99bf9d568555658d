"""The open loop: a generator that keeps to its schedule and hides nothing."""

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
from tests.testkit.raw_servers import HangingUp, RawServer, Refusing, answer


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[RawServer]:
    server: RawServer = getattr(request, "param", RawServer)()
    yield server
    server.close()


def body_of(response: Response) -> bytes:
    return response.body


def plan(address: tuple[str, int], *, rate: float = 400, count: int = 4, size: int = 100, limit: int = 64) -> Plan:
    bodies = [str(number).rjust(8).encode() + bytes(size) for number in range(count)]
    requests = [render("POST", "/", body) for body in bodies]
    return Plan(address=address, requests=requests, rate=rate, seconds=0.2, seed=3, read=body_of, max_connections=limit)


@pytest.mark.parametrize("size", [100, 1_000_000])
def test_every_request_is_answered_once_and_with_its_own_answer(server: RawServer, size: int) -> None:
    """Each arrival of the schedule, on time or not, over connections that are used again."""
    planned = plan(server.address, rate=200, size=size)
    run = open_loop.run(planned)
    assert [one.scheduled for one in run.answers] == [*arrivals(200, 0.2, seed=3)]
    assert [one.request for one in run.answers] == [number % 4 for number in range(len(run.answers))]
    assert all(one.seen == str(one.request).rjust(8).encode() for one in run.answers)
    assert all(one.scheduled <= one.sent <= one.done and one.status == 200 for one in run.answers)
    assert server.connections == run.connections


@pytest.mark.parametrize("server", [Refusing], indirect=True)
def test_an_answer_before_the_body_is_gone_is_an_answer(server: RawServer) -> None:
    """A refusal by the head is counted with its status and its Retry-After, not as a broken connection."""
    run = open_loop.run(plan(server.address, rate=100, size=3_000_000))
    assert run.answers
    assert {(one.status, one.retry_after) for one in run.answers} == {(429, 3.0)}


@pytest.mark.parametrize("server", [HangingUp], indirect=True)
def test_a_connection_closed_before_the_answer_is_told(server: RawServer) -> None:
    run = open_loop.run(plan(server.address))
    assert {one.status for one in run.answers} == {0}
    assert all("closed before the answer" in str(one.seen) or "reset" in str(one.seen) for one in run.answers)


def test_a_service_that_is_not_there_is_told() -> None:
    run = open_loop.run(plan(("127.0.0.1", free_port())))
    assert Counter(one.status for one in run.answers) == {0: len([*arrivals(400, 0.2, seed=3)])}


def test_a_request_without_a_free_connection_waits_and_is_counted(server: RawServer) -> None:
    """With one connection for everybody, most find it busy; none is lost."""
    run = open_loop.run(plan(server.address, rate=20_000, limit=1))
    assert run.connections == 1
    assert run.starved > 0
    assert {one.status for one in run.answers} == {200}


def test_a_run_can_be_ended_early_and_waits_for_its_answers(server: RawServer) -> None:
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


def test_the_command_prints_its_figures_and_its_verdict(server: RawServer, capsys: pytest.CaptureFixture[str]) -> None:
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
