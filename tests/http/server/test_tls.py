"""TLS: the same service over it, each connection bounded from its acceptance on; certificates checked at the start."""

from __future__ import annotations

import asyncio
import errno
import http.client
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from uvicorn.server import ServerState

from tests.testkit.serving_process import RAW, READY, Answer, AnswerReader, ServingProcess, ask, classify_path
from topfive.access.certificates import Certificate, server_context
from topfive.access.connections import ConnectionLimits, Connections
from topfive.config.settings import Settings
from topfive.ground.clock import MonotonicClock
from topfive.ground.errors import ConfigurationError
from topfive.http.server import tls
from topfive.http.server.connection import Connection
from topfive.http.server.cycle import Receive, Scope, Send
from topfive.http.server.tls import TlsServer

OPENSSL = shutil.which("openssl")
PATH = classify_path(height=1, width=1)
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
MOST = 10


@dataclass(frozen=True)
class Pair:
    """A self-signed certificate for 127.0.0.1 and its key."""

    certificate: Path
    key: Path

    @property
    def flags(self) -> list[str]:
        return ["--tls-certificate-file", str(self.certificate), "--tls-key-file", str(self.key)]

    @property
    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.certificate))


def make_pair(folder: Path, name: str, *more: str) -> Pair:
    if OPENSSL is None:
        pytest.skip("openssl is not installed: there is nothing to make a certificate with")
    pair = Pair(folder / f"{name}.crt", folder / f"{name}.key")
    command = [OPENSSL, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "2"]
    command += ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", *(more or ["-nodes"])]
    subprocess.run([*command, "-keyout", pair.key, "-out", pair.certificate], check=True, capture_output=True)
    return pair


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("tls"), "service")


@pytest.fixture(scope="module")
def secure(pair: Pair) -> Iterator[ServingProcess]:
    """A service over TLS that gives nobody much time, or many connections."""
    with ServingProcess(
        *("--backend", "null", "--max-connections", str(MOST), *pair.flags),
        *("--head-seconds", "1", "--body-seconds", "1", "--send-seconds", "1"),
    ) as process:
        process.wait_for_log(READY)
        yield process


@contextmanager
def wire(process: ServingProcess, pair: Pair) -> Iterator[tuple[ssl.SSLSocket, AnswerReader]]:
    """A raw connection over TLS, and the reader of its answers."""
    with pair.trusting.wrap_socket(process.open_socket(), server_hostname="127.0.0.1") as connection:
        reader = AnswerReader(connection)
        yield connection, reader
        reader.finish()


def secure_ask(process: ServingProcess, pair: Pair, method: str, path: str, body: bytes | None = None) -> Answer:
    connection = http.client.HTTPSConnection("127.0.0.1", process.port, context=pair.trusting, timeout=60)
    try:
        return ask(connection, method, path, body, {"Content-Type": RAW})
    finally:
        connection.close()


def post(length: int, more: str = "") -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {RAW}\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def test_requests_are_answered_over_tls_and_the_log_says_so(secure: ServingProcess, pair: Pair) -> None:
    assert '"listening on https://' in secure.wait_for_log("listening on")
    assert secure_ask(secure, pair, "POST", PATH, b"rgb").status == 200
    with wire(secure, pair) as (connection, answers):
        assert connection.version() in ("TLSv1.2", "TLSv1.3")
        large = b"GET /static/swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
        connection.sendall((post(3) + b"rgb" + large) * 3)
        assert [answers.next().status for _ in range(6)] == [200] * 6


def test_a_large_body_comes_whole_over_tls(secure: ServingProcess, pair: Pair) -> None:
    path = classify_path(height=1000, width=1000)
    assert secure_ask(secure, pair, "POST", path, bytes(3_000_000)).status == 200


def test_who_speaks_plain_http_to_it_is_closed(secure: ServingProcess, pair: Pair) -> None:
    with secure.open_socket() as connection:
        connection.sendall(LIVE)
        assert b"HTTP" not in AnswerReader(connection).rest()
    assert secure_ask(secure, pair, "POST", PATH, b"rgb").status == 200
    assert "Traceback" not in "".join(secure.log)


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET / HT", 408, "request_timeout"),
        (post(3) + b"r", 408, "request_timeout"),
        (b"GET / HTTP/1.1\r\nX: " + bytes(b"y" * 70_000), 431, "head_too_large"),
        (b"nonsense\r\n\r\n", 400, "malformed_request"),
        (post(3, "Transfer-Encoding: chunked\r\n"), 400, "malformed_request"),
    ],
    ids=["slow head", "slow body", "large head", "nonsense", "smuggling"],
)
def test_bad_clients_are_refused_over_tls_as_without(
    secure: ServingProcess, pair: Pair, sent: bytes, status: int, code: str
) -> None:
    with wire(secure, pair) as (connection, answers):
        connection.sendall(sent)
        answers.next().assert_error(status, code)
        assert answers.rest() == b""
    assert secure_ask(secure, pair, "POST", PATH, b"rgb").status == 200


def test_a_client_that_does_not_read_is_cut_off_over_tls(secure: ServingProcess, pair: Pair) -> None:
    with wire(secure, pair) as (connection, _):
        connection.sendall(b"GET /static/swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 100)

        def cut_off() -> bool:
            return b'closed_total{reason="send_timeout"} 1.0' in secure_ask(secure, pair, "GET", "/metrics").body

        secure.wait_until(cut_off)


def test_who_never_shakes_hands_is_closed(secure: ServingProcess, pair: Pair) -> None:
    """Neither by silence nor in the middle."""
    with secure.open_socket() as silent, secure.open_socket() as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        assert AnswerReader(silent).rest() == b""
        assert AnswerReader(half).rest() == b""
    assert secure_ask(secure, pair, "POST", PATH, b"rgb").status == 200


def test_a_flood_of_connections_without_a_handshake_only_hurts_itself(secure: ServingProcess, pair: Pair) -> None:
    """They are counted before it: whoever comes displaces the one that has been waited for longest."""
    with ExitStack() as stack:
        flood = [stack.enter_context(secure.open_socket()) for _ in range(3 * MOST)]
        for connection in flood[:MOST]:
            assert AnswerReader(connection).rest() == b""
        for _ in range(3):
            assert secure_ask(secure, pair, "POST", PATH, b"rgb").status == 200


class Exhausted(socket.socket):
    """A listener in a process that has, at first, no descriptor left."""

    refusals = 1

    def accept(self) -> tuple[socket.socket, object]:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def no_content(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def test_without_a_descriptor_left_it_pauses_and_then_accepts_again(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It neither ends nor asks again at once."""
    monkeypatch.setattr(tls, "_PAUSE_SECONDS", 0.01)
    limits = ConnectionLimits(
        max_connections=9, head_seconds=60.0, body_seconds=60.0, send_seconds=60.0, idle_seconds=60.0
    )
    connections = Connections(limits, clock=MonotonicClock(), on_closed=pytest.fail)
    state = ServerState()
    certificate = Certificate.of(Settings(tls_certificate_file=pair.certificate, tls_key_file=pair.key))
    assert certificate is not None
    with Exhausted() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        server = TlsServer(
            listener,
            certificate,
            make_connection=lambda: Connection(None, state, {}, application=no_content, connections=connections),
            connections=connections,
        )
        port = listener.getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=pair.trusting)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 204 ")
        writer.close()
        await writer.wait_closed()

        async def forgotten() -> None:
            while True:
                if not state.connections and not len(connections):
                    return
                await asyncio.sleep(0)

        await asyncio.wait_for(forgotten(), 20)
        server.close()
        await server.wait_closed()
    assert "Too many open files" in caplog.text


def test_a_stop_ends_handshakes_and_answers_requests(pair: Pair) -> None:
    """And serves nobody who comes after it; the exit code is 0."""
    with ServingProcess("--backend", "null", *pair.flags) as process:
        process.wait_for_log(READY)
        with wire(process, pair) as (connection, answers), process.open_socket() as silent:
            connection.sendall(post(3, "Expect: 100-continue\r\n"))
            assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
            process.signal(signal.SIGTERM)
            process.wait_for_log("Shutting down")
            assert AnswerReader(silent).rest() == b""
            connection.sendall(b"rgb")
            answer = answers.next()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert answers.rest() == b""
            assert process.wait() == 0, "though this client does not close in its turn"
        assert "Traceback" not in "".join(process.log)


def test_workers_serve_over_tls(pair: Pair) -> None:
    with ServingProcess("--backend", "null", "--workers", "2", *pair.flags) as process:
        process.wait_for_log(READY, count=2)
        for _ in range(10):
            assert secure_ask(process, pair, "POST", PATH, b"rgb").status == 200
        assert process.stop() == 0


# What cannot be served


def refused(*flags: str) -> str:
    with ServingProcess("--backend", "null", *flags) as process:
        assert process.wait() == 2, process.log
        (line,) = process.log
    assert line.startswith("topfive: ")
    return line


def test_half_of_a_pair_is_refused_by_the_name_of_the_other_half(pair: Pair) -> None:
    assert "tls_key_file" in refused(*pair.flags[:2])
    assert "tls_certificate_file" in refused(*pair.flags[2:])


def test_files_that_are_no_pair_are_refused_by_the_name_of_the_setting(pair: Pair, tmp_path: Path) -> None:
    """How the process tells it is shown above; here, what of the files is looked at."""
    other = make_pair(tmp_path, "other")
    encrypted = make_pair(tmp_path, "encrypted", "-passout", "pass:secret")
    empty = tmp_path / "empty"
    empty.touch()
    wrong = {
        "tls_certificate_file": [Pair(tmp_path / "missing", pair.key), Pair(tmp_path, pair.key), Pair(empty, pair.key)],
        "tls_key_file": [
            Pair(pair.certificate, tmp_path / "missing"),
            Pair(pair.certificate, empty),
            Pair(pair.certificate, other.key),
            Pair(encrypted.certificate, encrypted.key),
        ],
    }
    for name, pairs in wrong.items():
        for each in pairs:
            with pytest.raises(ConfigurationError, match=f"^{name} "):
                server_context(Settings(tls_certificate_file=each.certificate, tls_key_file=each.key))
