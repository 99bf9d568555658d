"""Our cut of uvicorn's protocol speaks the same HTTP: whole bodies in any pieces, answers in order, bounded reading."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.clock import MonotonicClock
from service.connections import ConnectionLimits, Connections
from service.http_protocol import _AHEAD_BYTES, LeanHttpProtocol

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Echo:
    """Answers with what it got: method, path, length and sum of the body, and in how many parts it came."""

    def __init__(self) -> None:
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.disconnected = asyncio.Event()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["path"] == "/stream":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for part in (b"one ", b"two ", b"three"):
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            return
        await self.may_read.wait()
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnected.set()
                return
            body += message["body"]
            more = message["more_body"]
        answer = json.dumps([scope["method"], scope["path"], len(body), sum(body)]).encode()
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})
        if scope["path"] == "/wait":
            assert (await receive())["type"] == "http.disconnect"
            self.disconnected.set()


NO_HURRY = ConnectionLimits(
    max_connections=100, head_seconds=60.0, body_seconds=60.0, send_seconds=60.0, idle_seconds=60.0
)


@asynccontextmanager
async def running(app: Echo) -> AsyncIterator[uvicorn.Server]:
    """A real server with our protocol."""
    closed: list[str] = []
    connections = Connections(NO_HURRY, clock=MonotonicClock(), on_closed=closed.append)
    protocol: Any = functools.partial(LeanHttpProtocol, connections=connections)
    config = uvicorn.Config(app, port=0, http=protocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    try:
        yield server
    finally:
        for listener in server.servers:
            listener.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()


@asynccontextmanager
async def serving(app: Echo) -> AsyncIterator[int]:
    """The port of one."""
    async with running(app) as server:
        yield port_of(server)


def port_of(server: uvicorn.Server) -> int:
    return int(server.servers[0].sockets[0].getsockname()[1])


async def exchange(port: int, pieces: list[bytes]) -> bytes:
    """Everything that the server answers to `pieces`, sent one after the other, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer


def request(body: bytes, *, path: str = "/", method: str = "POST", close: bool = True, more: str = "") -> bytes:
    end = "connection: close\r\n" if close else ""
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{end}{more}\r\n"
    return head.encode() + body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if end > start]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(body=st.binary(max_size=300), places=st.lists(st.integers(0, 10_000), max_size=8), chunked=st.booleans())
def test_a_body_comes_whole_however_it_is_cut(body: bytes, places: list[int], *, chunked: bool) -> None:
    """With a length or chunked, in any pieces, also cut within the head."""

    async def play() -> None:
        async with serving(Echo()) as port:
            data = request(body)
            if chunked:
                chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in cut(body, places)) + b"0\r\n\r\n"
                head = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
                data = head + chunks
            answer = await exchange(port, cut(data, places))
            assert json.loads(answer.partition(b"\r\n\r\n")[2]) == ["POST", "/", len(body), sum(body)]

    asyncio.run(play())


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(Echo()) as port:
        bodies = [bytes([number]) * 1000 * number for number in range(1, 6)]
        data = b"".join(request(body, path=f"/{len(body)}", close=len(body) == 5000) for body in bodies)
        answer = await exchange(port, [data])
        found = [json.loads(part.partition(b"]")[0] + b"]") for part in answer.split(b"\r\n\r\n")[1:]]
        assert found == [["POST", f"/{len(body)}", len(body), sum(body)] for body in bodies]


async def test_a_head_is_answered_without_a_body_and_an_expectation_with_100() -> None:
    """The client that waits for leave to send its body gets it; one that has sent it needs none."""
    async with serving(Echo()) as port:
        head = await exchange(port, [request(b"", method="HEAD")])
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert head.endswith(b"connection: close\r\n\r\n")
        data = request(b"abc", more="expect: 100-continue\r\n")
        assert (await exchange(port, [data])).startswith(b"HTTP/1.1 200 OK\r\n")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(data[:-3])
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(data[-3:])
        assert (await asyncio.wait_for(reader.read(), 20)).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


async def test_a_streamed_answer_comes_whole() -> None:
    async with serving(Echo()) as port:
        answer = await exchange(port, [request(b"", path="/stream")])
        assert b"one \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n" in answer


async def test_reading_stays_a_bounded_way_ahead_of_the_application() -> None:
    """A sender is held back while nobody takes its body, and goes on when somebody does."""
    app = Echo()
    app.may_read.clear()
    async with running(app) as server:
        body = bytes(8 * _AHEAD_BYTES)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(request(body))

        async def held_back() -> int:
            while True:
                for connection in server.server_state.connections:
                    assert isinstance(connection, LeanHttpProtocol)
                    if connection.flow.read_paused:
                        return int(vars(connection.cycle)["ahead"])
                await asyncio.sleep(0)

        ahead = await asyncio.wait_for(held_back(), 20)
        assert _AHEAD_BYTES < ahead < 2 * _AHEAD_BYTES, "the bound, and what one reading brings beyond it"
        app.may_read.set()
        answer = await asyncio.wait_for(reader.read(), 20)
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == ["POST", "/", len(body), 0]
        writer.close()


@pytest.mark.parametrize("path", ["/", "/wait"])
async def test_a_client_that_hangs_up_is_told_to_the_application(path: str) -> None:
    """Before its body is complete, and after its answer."""
    app = Echo()
    async with serving(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        data = request(b"abc", path=path, close=False)
        writer.write(data if path == "/wait" else data[:-1])
        await writer.drain()
        if path == "/wait":
            await reader.readuntil(b"]")
        writer.close()
        await asyncio.wait_for(app.disconnected.wait(), 20)
