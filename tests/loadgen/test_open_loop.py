"""The open loop: it keeps to its schedule, hides nothing and loses nothing, whatever the server does."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path

import pytest

from benchmarks.server import free_port
from tests.testkit.raw_servers import HangingUp, RawServer, Refusing
from topfive_loadgen import open_loop
from topfive_loadgen.aside import Aside
from topfive_loadgen.http1 import Response, render, render_head
from topfive_loadgen.open_loop import drive
from topfive_loadgen.plan import Done, OpenLoad, Request
from topfive_loadgen.schedule import arrivals

OPENSSL = shutil.which("openssl")


class Once(RawServer):
    """Answers one request on each connection, says that it will close it, and does."""

    def reply(self, body: bytes) -> bytes:
        return super().reply(body).replace(b"Content-Length", b"Connection: close\r\nContent-Length")

    def serve(self, connection: socket.socket) -> None:
        received = connection.recv(65536)
        connection.sendall(self.reply(received.partition(b"\r\n\r\n")[2]))


class Silent(RawServer):
    """Reads, and never answers."""

    def __init__(self) -> None:
        self.heard = threading.Event()
        super().__init__()

    def serve(self, connection: socket.socket) -> None:
        while connection.recv(65536):
            self.heard.set()


class Encrypted(RawServer):
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
    server: RawServer = getattr(request, "param", RawServer)()
    yield server
    server.close()


def url_of(server: RawServer) -> str:
    return f"http://127.0.0.1:{server.address[1]}"


def label(number: int) -> bytes:
    return str(number).rjust(8).encode()


def body_of(response: Response) -> bytes:
    return response.body


def plan(url: str, *, rate: float = 400, seconds: float = 0.2, size: int = 100, limit: int = 64) -> OpenLoad:
    """Four requests, one of them whole, the others with their bodies apart; the server answers with their labels."""
    bodies = [label(number) + bytes(size) for number in range(4)]
    requests: list[Request] = [
        render("POST", "/", bodies[0]),
        *((render_head("POST", "/", len(one)), one) for one in bodies[1:]),
    ]
    return OpenLoad(url=url, requests=requests, rate=rate, seconds=seconds, seed=3, max_connections=limit, read=body_of)


def due(planned: OpenLoad) -> list[float]:
    return [*arrivals(planned.rate, planned.seconds, seed=planned.seed)]


def told(done: Done) -> Counter[object]:
    """Each status, or why there is none, and how often."""
    return Counter(one.status or one.reason for one in done.samples)


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_every_request_is_sent_on_its_schedule_and_answered_with_its_own_answer(server: RawServer, size: int) -> None:
    """Bodies larger than a socket takes at once included; connections are used again."""
    planned = plan(url_of(server), rate=100, size=size)
    done = drive(planned)
    assert [one.scheduled for one in done.samples] == due(planned)
    assert all(one.scheduled <= one.sent <= one.done for one in done.samples)
    assert all(one.seen == label(one.request) for one in done.samples)
    assert server.connections == done.connections + 1  # it looks first whether somebody listens


def test_the_order_of_requests_is_seeded_and_even(server: RawServer) -> None:
    planned = plan(url_of(server))
    first, second = ([one.request for one in drive(planned).samples] for _ in range(2))
    assert first == second
    assert all(sorted(first[start : start + 4]) == [0, 1, 2, 3] for start in range(0, len(first) - 3, 4))
    assert first[:4] != first[4:8] or first[:4] != first[8:12]


def test_a_server_that_is_not_there_refuses_every_request_and_none_is_lost() -> None:
    planned = plan(f"http://127.0.0.1:{free_port()}")
    assert told(drive(planned)) == {"Connection refused": len(due(planned))}


@pytest.mark.parametrize("server", [HangingUp], indirect=True)
def test_a_connection_closed_before_the_answer_is_told(server: RawServer) -> None:
    planned = plan(url_of(server))
    found = told(drive(planned))
    assert found.keys() <= {"connection closed before the answer", "Connection reset by peer"}
    assert found.total() == len(due(planned))


@pytest.mark.parametrize("server", [Once], indirect=True)
def test_a_server_that_closes_after_each_answer_is_asked_on_new_connections(server: RawServer) -> None:
    planned = plan(url_of(server))
    assert told(drive(planned)) == {200: len(due(planned))}
    assert server.connections == len(due(planned)) + 1  # one to see whether somebody listens


@pytest.mark.parametrize("server", [Refusing], indirect=True)
def test_an_answer_before_the_body_is_gone_is_an_answer(server: RawServer) -> None:
    """A refusal by the head is counted with its status and its Retry-After, not as a broken connection."""
    done = drive(plan(url_of(server), rate=100, size=3_000_000))
    assert {(one.status, one.retry_after) for one in done.samples} == {(429, 3.0)}


@pytest.mark.parametrize("server", [Silent], indirect=True)
def test_what_is_never_answered_and_what_was_never_sent_are_told(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With two connections that hang, the others wait for one in vain; all are counted, and none is late by itself."""
    monkeypatch.setattr(open_loop, "PATIENCE_SECONDS", 0.1)
    planned = plan(url_of(server), limit=2)
    done = drive(planned)
    assert told(done) == {open_loop.NO_ANSWER: 2, open_loop.NOT_SENT: len(due(planned)) - 2}
    assert all(one.lag == 0 for one in done.samples if one.reason == open_loop.NOT_SENT)
    assert done.faults()


def test_requests_that_wait_for_a_connection_make_it_invalid(server: RawServer) -> None:
    """With one connection for everybody, most find it busy; none is lost."""
    done = drive(plan(url_of(server), rate=10_000, limit=1))
    assert done.connections == 1
    assert told(done).keys() == {200}
    assert any("waited for one of 1 connections" in fault for fault in done.faults())


def test_a_run_can_be_ended_early_and_waits_for_its_answers(server: RawServer) -> None:
    """Without end by its schedule, it ends when it is told to; what was sent is answered."""
    with Aside() as aside:
        aside.start(drive, plan=replace(plan(url_of(server)), seconds=inf))
        assert server.connected.wait(30)  # it has begun
        aside.stop()
        done: Done = aside.result()
    assert told(done).keys() <= {200}
    assert done.seconds < 60


def test_a_run_that_is_told_twice_waits_for_no_answer() -> None:
    """Of a server that hangs; what was under way is counted as it is."""
    server = Silent()
    try:
        with Aside() as aside:
            aside.start(drive, plan=replace(plan(url_of(server)), seconds=inf))
            assert server.heard.wait(30)
            assert not aside.has_ended(within_seconds=0)
            aside.stop()
            aside.stop()
            assert aside.has_ended(within_seconds=open_loop.PATIENCE_SECONDS / 2)
            done: Done = aside.result()
    finally:
        server.close()
    assert told(done).keys() == {open_loop.BROKEN_OFF}


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
        trusting = told(drive(replace(planned, cafile=str(certificate))))
        assert trusting == {200: len(due(planned))}
        doubting = told(drive(planned))
        assert doubting == {"TLS: CERTIFICATE_VERIFY_FAILED": len(due(planned))}
    finally:
        server.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"requests": []}, "at least one"),
        ({"url": "127.0.0.1:8000"}, "http://host:port"),
        ({"rate": 0.0}, "above 0"),
        ({"seconds": 0.0}, "above 0"),
    ],
)
def test_a_plan_that_cannot_be_done_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(plan("http://127.0.0.1:1"), **change)  # type: ignore[arg-type]
