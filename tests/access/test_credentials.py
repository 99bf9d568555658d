"""Keys and certificates are in force as their files are: within seconds, or at once when told; for who comes then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import ssl
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.http.server.test_tls import LIVE, Pair, make_pair
from tests.testkit.fakes import FakeClock
from tests.testkit.model_bench import until
from tests.testkit.rpc import Channel
from tests.testkit.serving_process import READY, AnswerReader, ServingProcess
from topfive.access.credentials import Credentials
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError

ONE, OTHER = "correct-horse-battery-staple", "0123456789abcdef"


@contextlib.asynccontextmanager
async def kept(credentials: Credentials, clock: FakeClock) -> AsyncIterator[list[str]]:
    """The credentials, kept current; what is told goes into the list."""
    told: list[str] = []

    async def when_told() -> None:
        told.append("told")

    task = asyncio.create_task(credentials.keep_current(clock, when_told=when_told))
    await asyncio.sleep(0)
    yield told
    task.cancel()
    await asyncio.wait([task])
    assert clock.armed == []


async def test_keys_are_those_of_the_file_within_five_seconds(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys", FakeClock()
    path.write_text(ONE)
    credentials = Credentials(Settings(api_keys_file=path))
    keys: Any = credentials.keys
    async with kept(credentials, clock) as told:
        for new, old in ((OTHER, ONE), (ONE, OTHER)):
            path.write_text(new)
            assert keys.is_known(f"Bearer {old}")
            clock.advance(5.0)
            await until(partial(keys.is_known, f"Bearer {new}"))
            assert not keys.is_known(f"Bearer {old}")
            await until(lambda: bool(clock.armed))
        assert told == []


async def test_when_told_they_are_looked_at_at_once(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys", FakeClock()
    path.write_text(ONE)
    credentials = Credentials(Settings(api_keys_file=path))
    keys: Any = credentials.keys
    async with kept(credentials, clock) as told:
        path.write_text(OTHER)
        credentials.reload()
        await until(lambda: told == ["told"])
        assert keys.is_known(f"Bearer {OTHER}")


async def test_without_files_nothing_is_looked_at(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    clock, credentials = FakeClock(), Credentials(Settings())
    async with kept(credentials, clock) as told:
        assert clock.armed == []
        credentials.reload()
        await until(lambda: told == ["told"])
    assert (credentials.keys, credentials.certificate) == (None, None)


def test_a_file_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="api_keys_file"):
        Credentials(Settings(api_keys_file=tmp_path / "missing"))


# Certificates: what clients see.


def shown(process: ServingProcess, port: int) -> str:
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=60)


def put(pair: Pair, new: Pair) -> None:
    """The files one after the other, as everybody replaces them."""
    shutil.copy(new.certificate, pair.certificate)
    shutil.copy(new.key, pair.key)


def test_new_handshakes_see_a_new_certificate_and_open_connections_stay(tmp_path: Path) -> None:
    """Over HTTP and gRPC, in every worker; one that does not fit its key changes nothing."""
    pair, new, other = (make_pair(tmp_path, name) for name in ("served", "new", "other"))
    old = pair.certificate.read_text()
    flags = ("--backend", "null", "--workers", "2", *pair.flags)
    with ServingProcess(*flags) as process:
        process.wait_for_log(READY, count=2)
        ports = (process.port, process.grpc_port)
        assert {shown(process, port) for port in ports for _ in range(4)} == {old}
        with pair.trusting.wrap_socket(process.open_socket(), server_hostname="127.0.0.1") as connection:
            answers = AnswerReader(connection)
            pair.certificate.write_text(other.certificate.read_text())
            process.wait_for_log("the TLS files stay as they were: tls_key_file", count=2)
            assert {shown(process, port) for port in ports for _ in range(4)} == {old}
            put(pair, new)
            process.signal(signal.SIGHUP)  # not to wait for the next look
            process.wait_for_log("the TLS files have changed", count=2)
            assert {shown(process, port) for port in ports for _ in range(6)} == {new.certificate.read_text()}
            connection.sendall(LIVE)
            assert answers.next().status == 200
            answers.finish()
        trusting = grpc.ssl_channel_credentials(new.certificate.read_bytes())
        with Channel(process.grpc_address, credentials=trusting) as channel:
            assert channel.ask("ServerLive").status == "OK"
        assert process.stop() == 0
