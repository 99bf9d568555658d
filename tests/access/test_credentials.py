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
from topfive.access.api_keys import ApiKeys
from topfive.access.credentials import Credentials
from topfive.access.tenants import Tenants
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError, QuotaExceeded

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


def knows(keys: ApiKeys, key: str) -> bool:
    return keys.tenant_of(f"Bearer {key}") is not None


async def test_keys_are_those_of_the_file_within_five_seconds(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys", FakeClock()
    path.write_text(ONE)
    credentials = Credentials(Settings(api_keys_file=path))
    keys: Any = credentials.keys
    async with kept(credentials, clock) as told:
        for new, old in ((OTHER, ONE), (ONE, OTHER)):
            path.write_text(new)
            assert keys.tenant_of(f"Bearer {old}")
            clock.advance(5.0)
            await until(partial(knows, keys, new))
            assert not knows(keys, old)
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
        assert knows(keys, OTHER)


async def test_what_was_spent_stays_spent_when_the_file_changes(tmp_path: Path) -> None:
    """Also of a tenant that was left out for a while; a higher limit is in force at once."""
    path, clock = tmp_path / "keys", FakeClock()
    path.write_text(f"{ONE} name=feed quota=3/month\n")
    credentials = Credentials(Settings(api_keys_file=path), Tenants(now=clock.now, utc=lambda: 1e9))
    (feed,) = credentials.tenants.current
    feed.spend(2)
    async with kept(credentials, clock) as told:
        for text in (f"{OTHER} name=other", f"{ONE} name=feed quota=4/month\n{OTHER} name=other"):
            path.write_text(text)
            credentials.reload()
            await until(lambda: bool(told))
            told.clear()
    assert credentials.keys is not None
    assert credentials.keys.tenant_of(f"Bearer {ONE}") is feed
    feed.spend(2)
    with pytest.raises(QuotaExceeded):
        feed.spend(1)


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
