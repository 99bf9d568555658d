"""The gRPC server itself: its connections, its certificate, its start and stop."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import numpy as np
import pytest
import tritonclient.grpc
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.grpc_messages import image_message
from tests.testkit.rpc import Channel, answer_of, channel_to
from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.tiny_models import WAITING_CONFIG, write_tiny_repository
from topfive.app import create_app, create_grpc_server, create_serving
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError
from topfive.ground.lifecycle import State
from topfive.grpc.server import _options
from topfive.serving.serving import Serving

LISTENING: Final = "gRPC listening on"
PING: Final = 6
"""Type of frame, in HTTP/2."""
PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""With which a client begins: HTTP/2, and settings of its own, none."""
PIXELS: Final = np.full((1, 4, 4, 3), 7, np.uint8)
IMAGE: Final = image_message(PIXELS)


def is_ready(channel: Channel) -> bool:
    return bool(channel.ask("ServerReady").read(pb.ServerReadyResponse).ready)


# Its connections.


def connected(process: ServingProcess) -> socket.socket:
    """A raw connection."""
    return socket.create_connection(("127.0.0.1", process.grpc_port))


def closes(connection: socket.socket) -> bool:
    """Whether the service closes `connection`, waited for without end but the test's own."""
    while not has_ended(connection):
        pass
    return True


def has_ended(connection: socket.socket) -> bool:
    """Whether the service has closed `connection`; PINGs are answered, for which one that says goodbye waits."""
    try:
        data = connection.recv(4096)
    except BlockingIOError:
        return False
    at = 0
    while at + 9 <= len(data):  # a frame: its length, type, flags, stream, payload
        length, kind, flags = int.from_bytes(data[at : at + 3], "big"), data[at + 3], data[at + 4]
        if kind == PING and not flags:
            connection.sendall(bytes([0, 0, length, PING, 1, 0, 0, 0, 0]) + data[at + 9 : at + 9 + length])
        at += 9 + length
    return not data


@pytest.fixture(scope="module")
def hasty() -> Iterator[ServingProcess]:
    """A service that does not wait long for a client to begin."""
    with serving("--backend", "null", "--head-seconds", "0.2") as process:
        yield process


@pytest.mark.parametrize("sent", [b"", PREFACE[:10], b"GET / HTTP/1.1\r\n"])
def test_a_connection_that_does_not_begin_is_closed(hasty: ServingProcess, sent: bytes) -> None:
    with connected(hasty) as connection:
        connection.sendall(sent)
        assert closes(connection)


def test_an_idle_connection_is_closed() -> None:
    """A client of gRPC connects again by itself."""
    with (
        serving("--backend", "null", "--keep-alive-seconds", "1") as process,
        channel_to(process) as channel,
        connected(process) as connection,
    ):
        assert is_ready(channel)
        connection.sendall(PREFACE)
        assert closes(connection)
        assert is_ready(channel)


def test_no_more_connections_than_may_be_are_kept() -> None:
    with serving("--backend", "null", "--max-connections", "3") as process:
        kept = [connected(process) for _ in range(3)]
        for connection in kept:
            connection.sendall(PREFACE)
            assert connection.recv(1)
        with connected(process) as one_more:
            assert closes(one_more)
        kept.pop().close()
        with channel_to(process) as channel:
            process.wait_until(lambda: channel.ask("ServerLive").status == "OK")
        for connection in kept:
            connection.close()


AGED: Final = ("--grpc-max-connection-age-seconds", "0.3", "--keep-alive-seconds", "3600")
"""Soon too old, and never idle for too long."""


def test_a_connection_that_is_too_old_is_closed_and_no_rpc_fails_for_it() -> None:
    """Not one of those that its client makes while two generations of connections go by."""
    with serving("--backend", "null", *AGED) as process, channel_to(process) as channel:
        answered = 0
        for _ in range(2):
            with connected(process) as connection:
                connection.sendall(PREFACE)
                connection.setblocking(False)
                while not has_ended(connection):
                    assert is_ready(channel)
                    answered += 1
        assert answered > 2
        assert process.stop() == 0
    assert "Traceback" not in "".join(process.log)


def test_what_is_in_flight_when_its_connection_is_too_old_is_answered(tmp_path: Path) -> None:
    """It waits in the queue until the stop hurries it; a connection made after its own has long been closed by then."""
    with draining(tmp_path, *AGED, "--drain-grace-seconds", "3600") as (process, call):
        with connected(process) as younger:
            younger.sendall(PREFACE)
            assert closes(younger)
        assert not call.done()
        assert process.stop() == 0
        assert pb.ModelInferResponse.FromString(call.result()).model_name == "tiny"


def test_without_the_setting_no_connection_is_too_old() -> None:
    assert [name for name, _ in _options(Settings()) if "age" in name.split("_")] == []
    settings = Settings(grpc_max_connection_age_seconds=300, body_seconds=60, stuck_batch_seconds=30)
    assert (settings.max_queue_wait_seconds, settings.max_decode_seconds) == (2, 10)
    aged = dict(_options(settings))
    assert aged["grpc.max_connection_age_ms"] == 300_000
    assert aged["grpc.max_connection_age_grace_ms"] == 102_000


# Its certificate.


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: there is nothing to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    chain, key = folder / "chain.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "1"),
            *("-out", str(chain), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return chain, key


def test_over_tls_it_answers_who_trusts_its_certificate(certificate: tuple[Path, Path]) -> None:
    """The stock client among them; without TLS nobody."""
    chain, key = certificate
    flags = ("--tls-certificate-file", str(chain), "--tls-key-file", str(key))
    with serving("--backend", "null", *flags) as process:
        address = process.grpc_address
        with tritonclient.grpc.InferenceServerClient(address, ssl=True, root_certificates=str(chain)) as client:
            assert client.is_server_ready()
        with Channel(address, credentials=grpc.ssl_channel_credentials(chain.read_bytes())) as channel:
            assert answer_of(channel.infer(image_message(PIXELS, model_name="efficientnet_lite0"))).outputs
        with Channel(address) as plain:
            assert plain.ask("ServerLive", seconds=5).status == "UNAVAILABLE"
        assert process.stop() == 0


def test_certificates_that_cannot_be_used_are_refused(certificate: tuple[Path, Path]) -> None:
    """Before it listens: gRPC's own core would say so only to clients."""
    chain, key = certificate
    settings = Settings(backend="null", tls_certificate_file=key, tls_key_file=chain)
    with pytest.raises(ConfigurationError, match="tls_certificate_file"):
        create_grpc_server(create_serving(settings, on_fatal=lambda: None))


# Its start and stop.


@contextmanager
def draining(tmp_path: Path, *flags: str) -> Iterator[tuple[ServingProcess, Any]]:
    """A service told to stop while an RPC waits in its queue for company, an hour if nobody hurries it."""
    repository = write_tiny_repository(tmp_path / "models", classify_config=WAITING_CONFIG)
    own = ("--model-repository", str(repository), "--backend", "null")
    with serving(*own, *flags) as process, channel_to(process) as channel:
        call = channel.begin("ModelInfer", IMAGE)
        process.wait_until(lambda: process.metric("topfive_queue_items") == 1)
        process.signal(signal.SIGTERM)
        yield process, call


def test_a_stop_answers_who_is_inside(tmp_path: Path) -> None:
    with draining(tmp_path) as (process, call):
        assert pb.ModelInferResponse.FromString(call.result()).model_name == "tiny"
        assert process.wait() == 0
        with channel_to(process) as channel:
            assert channel.infer(IMAGE).status == "UNAVAILABLE"
    assert "Traceback" not in "".join(process.log)


def test_the_grace_reports_not_ready_and_still_serves(tmp_path: Path) -> None:
    """So that a load balancer can notice before anybody is refused; a second signal ends it."""
    with draining(tmp_path, "--drain-grace-seconds", "3600") as (process, call):
        process.wait_for_log("the service is draining")
        with channel_to(process) as channel:
            assert channel.ask("ServerLive").status == "OK"
            assert not is_ready(channel)
            ready = channel.ask("ModelReady", pb.ModelReadyRequest(name="tiny"))
            assert not ready.read(pb.ModelReadyResponse).ready
            late = channel.begin("ModelInfer", IMAGE)
            process.wait_until(lambda: process.metric("topfive_queue_items") == 2)
            assert process.stop() == 0
            assert [pb.ModelInferResponse.FromString(each.result()).model_name for each in (call, late)] == ["tiny"] * 2


def test_a_client_that_never_finishes_does_not_stop_the_stop() -> None:
    """Its message has two seconds more; a client that has not even begun with HTTP/2 has no longer either."""
    with serving("--backend", "null", "--shutdown-seconds", "3600") as process, channel_to(process) as channel:
        with channel.held() as call, connected(process) as silent:
            silent.sendall(PREFACE[:9])
            assert channel.ask("ServerLive").status == "OK"
            assert process.stop() == 0
            assert call.code() is grpc.StatusCode.UNAVAILABLE
            assert "the service is stopping" in call.details()
        assert "Traceback" not in "".join(process.log)


def test_every_line_of_the_log_is_json_whatever_clients_send() -> None:
    """GRPC's core has a log of its own, in its own form, for which nobody asked."""
    with serving("--backend", "null") as process:
        for sent in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", PREFACE + b"\xff" * 50):
            with connected(process) as connection:
                connection.sendall(sent)
                connection.shutdown(socket.SHUT_WR)
                assert closes(connection)
        assert process.stop() == 0
        assert [line for line in process.log if "time" not in json.loads(line)] == []


# In a process that is not ours: an application that is started by somebody else's server.


@contextmanager
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def made(repository: Path, port: int, failed: Callable[[], None]) -> Serving:
    settings = Settings(model_repository=repository, backend="null", grpc_port=port)
    return create_serving(settings, on_fatal=failed)


async def test_the_lifespan_starts_and_stops_it(tiny_repository: Path, caplog: pytest.LogCaptureFixture) -> None:
    started = made(tiny_repository, 0, lambda: pytest.fail("the service failed"))
    app = create_app(started, create_grpc_server(started))
    with caplog.at_level("INFO", "topfive"):
        async with app.router.lifespan_context(app):
            await started.wait_until_loaded()
            (line,) = [record.getMessage() for record in caplog.records if LISTENING in record.getMessage()]
            address = line.removeprefix(f"{LISTENING} ")
            with Channel(address) as channel:
                reply = await asyncio.to_thread(channel.infer, IMAGE)
            assert answer_of(reply).model_name == "tiny"
    assert started.lifecycle.state is State.STOPPED
    with Channel(address) as channel:
        assert (await asyncio.to_thread(channel.ask, "ServerLive")).status == "UNAVAILABLE"


async def test_a_port_that_is_lost_to_another_after_all_ends_the_service(tiny_repository: Path) -> None:
    failures: list[None] = []
    with taken_port() as port:
        started = made(tiny_repository, port, lambda: failures.append(None))
        app = create_app(started, create_grpc_server(started))
        async with app.router.lifespan_context(app):
            assert failures == [None]
            assert isinstance(started.failure, ConfigurationError)
            assert "--no-grpc" in str(started.failure)


def test_settings_may_ask_for_none(tiny_repository: Path) -> None:
    settings = Settings(model_repository=tiny_repository, backend="null", grpc=False)
    assert create_grpc_server(create_serving(settings, on_fatal=lambda: None)) is None
