"""The open loop on asyncio: it keeps to its schedule, hides nothing and loses nothing, whatever the server does."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.client import drive as drive_closed
from benchmarks.server import free_port
from loadtests import open_loop
from loadtests.aside import Aside
from loadtests.http1 import render
from loadtests.null_server import NullServer
from loadtests.open_loop import OpenLoop
from loadtests.open_plan import Plan
from loadtests.poisson import arrivals
from loadtests.queries import Query
from tests.testkit.raw_servers import HangingUp, RawServer, Refusing, answer

OPENSSL = shutil.which("openssl")


class Telling(RawServer):
    """Its answer has the first eight bytes of the body for a label, and so shows whose answer it is."""

    def reply(self, body: bytes) -> bytes:
        return answer(json.dumps({"predictions": [{"label": body[:8].decode()}]}).encode())


class Once(Telling):
    """Answers one request on each connection, says that it will close it, and does."""

    def reply(self, body: bytes) -> bytes:
        return super().reply(body).replace(b"Content-Length", b"Connection: close\r\nContent-Length")

    def serve(self, connection: socket.socket) -> None:
        received = connection.recv(65536)
        connection.sendall(self.reply(received.partition(b"\r\n\r\n")[2]))


class Silent(RawServer):
    """Reads, and never answers."""

    def serve(self, connection: socket.socket) -> None:
        while connection.recv(65536):
            pass


class Encrypted(Telling):
    """The same over TLS."""

    context: ssl.SSLContext

    def serve(self, connection: socket.socket) -> None:
        try:
            encrypted = self.context.wrap_socket(connection, server_side=True)
        except OSError:  # the generator trusts another, or looks whether somebody listens
            return
        with encrypted:
            super().serve(encrypted)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[RawServer]:
    server: RawServer = getattr(request, "param", Telling)()
    yield server
    server.close()


def url_of(server: RawServer) -> str:
    return f"http://127.0.0.1:{server.address[1]}"


def query(number: int, *, size: int = 100) -> Query:
    label = str(number).rjust(8)
    return Query(
        mix="random",
        scenario="raw",
        kind="photo",
        path="/v1/classify",
        headers={"Content-Type": "application/octet-stream"},
        body=label.encode() + bytes(size),
        expected=label,
    )


def plan(url: str, *, rate: float = 400, seconds: float = 0.2, size: int = 100, limit: int = 64) -> Plan:
    queries = [query(number, size=size) for number in range(4)]
    return Plan(url=url, queries=queries, rate=rate, seconds=seconds, seed=3, max_connections=limit)


def due(planned: Plan) -> list[float]:
    return [*arrivals(planned.rate, planned.seconds, seed=planned.seed)]


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_every_request_is_sent_on_its_schedule_and_answered_with_its_own_answer(server: RawServer, size: int) -> None:
    """Bodies larger than a socket takes at once included; connections are used again."""
    planned = plan(url_of(server), rate=100, size=size)
    done = open_loop.drive(planned)
    assert [one.scheduled for one in done.samples] == due(planned)
    assert all(one.sent is not None and one.scheduled <= one.sent <= one.done for one in done.samples)
    run = open_loop.run(planned)
    assert run.errors == {}
    assert run.latency is not None
    assert run.latency.count == len(due(planned))
    assert server.connections == done.connections + run.connections + 2  # each looks first whether somebody listens


def test_the_order_of_queries_is_seeded_and_even(server: RawServer) -> None:
    planned = plan(url_of(server))
    first, second = ([one.query for one in open_loop.drive(planned).samples] for _ in range(2))
    assert first == second
    assert all(sorted(first[start : start + 4]) == [0, 1, 2, 3] for start in range(0, len(first) - 3, 4))
    assert first[:4] != first[4:8] or first[:4] != first[8:12]


def test_a_wrong_answer_is_an_error(server: RawServer) -> None:
    planned = plan(url_of(server))
    one, *others = planned.queries
    run = open_loop.run(replace(planned, queries=[replace(one, expected="another"), *others]))
    assert run.latency is not None
    assert run.errors.keys() == {"wrong label"}
    assert run.latency.count + run.errors["wrong label"] == len(due(planned))


def test_a_server_that_is_not_there_refuses_every_request_and_none_is_lost() -> None:
    planned = plan(f"http://127.0.0.1:{free_port()}")
    run = open_loop.run(planned)
    assert run.errors == {"Connection refused": len(due(planned))}
    assert run.latency is None
    assert run.throughput == 0


@pytest.mark.parametrize("server", [HangingUp], indirect=True)
def test_a_connection_closed_before_the_answer_is_told(server: RawServer) -> None:
    planned = plan(url_of(server))
    run = open_loop.run(planned)
    assert run.errors.keys() <= {"connection closed before the answer", "Connection reset by peer"}
    assert sum(run.errors.values()) == len(due(planned))


@pytest.mark.parametrize("server", [Once], indirect=True)
def test_a_server_that_closes_after_each_answer_is_asked_on_new_connections(server: RawServer) -> None:
    planned = plan(url_of(server))
    run = open_loop.run(planned)
    assert run.errors == {}
    assert server.connections == len(due(planned)) + 1  # one to see whether somebody listens


@pytest.mark.parametrize("server", [Refusing], indirect=True)
def test_an_answer_before_the_body_is_gone_is_an_answer(server: RawServer) -> None:
    """A refusal by the head is counted with its status, not as a broken connection."""
    planned = plan(url_of(server), rate=100, size=3_000_000)
    assert open_loop.run(planned).errors == {"429": len(due(planned))}


@pytest.mark.parametrize("server", [Silent], indirect=True)
def test_what_is_never_answered_and_what_was_never_sent_are_errors(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two connections that hang, the others wait for one in vain; all are counted."""
    monkeypatch.setattr(open_loop, "PATIENCE_SECONDS", 0.1)
    planned = plan(url_of(server), limit=2)
    run = open_loop.run(planned)
    assert run.errors == {open_loop.NO_ANSWER: 2, open_loop.NOT_SENT: len(due(planned)) - 2}
    assert not run.valid


def test_requests_that_wait_for_a_connection_make_it_invalid(server: RawServer) -> None:
    """With one connection for everybody, most find it busy; none is lost."""
    run = open_loop.run(plan(url_of(server), rate=10_000, limit=1))
    assert run.connections == 1
    assert run.errors == {}
    assert any("waited for one of 1 connections" in fault for fault in run.faults)


def test_a_run_aside_can_be_repeated_at_other_rates_and_ended_early(server: RawServer) -> None:
    """One process, given its queries once; what was sent when it is told to end is answered."""
    planned = plan(url_of(server))
    with OpenLoop(planned) as generator:
        first = generator.run(rate=100.0)
        assert first.latency is not None
        assert first.latency.count == len(due(replace(planned, rate=100.0)))
        server.connected.clear()
        generator.start(seconds=3600.0)
        assert server.connected.wait(30)  # it has begun
        generator.stop()
        second = generator.result()
    assert second.errors == {}
    assert second.seconds < 3600


def test_tls_is_spoken_and_certificates_are_checked(tmp_path: Path) -> None:
    if OPENSSL is None:
        pytest.skip("openssl is not installed: there is nothing to make a certificate with")
    certificate, key = tmp_path / "one.crt", tmp_path / "one.key"
    command = [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    Encrypted.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Encrypted.context.load_cert_chain(certificate, key)
    server = Encrypted()
    try:
        planned = plan(url_of(server).replace("http", "https"), rate=100, size=1_000_000)
        trusting = open_loop.run(replace(planned, cafile=str(certificate)))
        assert trusting.errors == {}
        doubting = open_loop.run(planned)
        assert doubting.errors == {"TLS: CERTIFICATE_VERIFY_FAILED": len(due(planned))}
    finally:
        server.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"queries": []}, "at least one"),
        ({"queries": [replace(query(1), scenario="grpc")]}, "HTTP only: leave out the queries of grpc"),
        ({"queries": [query(1), replace(query(1), mix="complex")]}, "one mix"),
        ({"url": "127.0.0.1:8000"}, "http://host:port"),
        ({"rate": 0.0}, "above 0"),
    ],
)
def test_a_plan_that_cannot_be_done_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(plan("http://127.0.0.1:1"), **change)  # type: ignore[arg-type]


def test_a_stall_is_seen_by_the_open_loop_and_hidden_by_the_closed_one() -> None:
    """The same server and the same stalls, at the same time: what makes p99 is where they differ.

    In the closed loop a stall holds up the one request that is under way, one of the many hundreds between two stalls;
    in the open loop all that were due meanwhile. Which those are is told by the server, on the clock of both.
    """
    stall = 0.2
    null = NullServer(stall_seconds=stall, stall_every=1.5)
    planned = Plan(url=null.url, queries=[query(1)], rate=200, seconds=2.0, seed=3)
    with null, Aside() as aside:
        aside.start(open_loop.drive, plan=planned)
        load = drive_closed(
            null.port, [render("POST", "/v1/classify")], connections=1, warm_seconds=0.0, window_seconds=2.0, meters=[]
        )
        done = aside.result()
    closed = [(one.started, one.ended) for one in load.exchanges]
    opened = [(done.began + one.scheduled, done.began + one.done) for one in done.samples]

    def saw(waits: list[tuple[float, float]]) -> int:
        """How many waited through at least half a stall."""
        return sum(
            any(min(end, last) - max(start, first) >= stall / 2 for first, last in null.stalls) for start, end in waits
        )

    assert null.stalls
    assert 0 < saw(closed) <= len(null.stalls)
    assert saw(closed) < len(closed) / 100
    assert saw(opened) > len(opened) / 100
