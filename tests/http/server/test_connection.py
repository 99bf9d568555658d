"""Our connection speaks the same HTTP: whole bodies in any pieces, answers in order, bounded reading."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.testkit.fakes import FakeClock
from topfive.access.connections import ConnectionLimits, Connections
from topfive.ground.clock import Clock, MonotonicClock
from topfive.ground.types import BEGAN, LET_GO
from topfive.http.server.connection import Connection
from topfive.http.server.cycle import AHEAD_BYTES, Application, Cycle, Message, Receive, Scope, Send
from topfive.machine.turns import MOST
from topfive.request.admission import PATIENCE_SECONDS, Admission, HeldBytes


class Echo:
    """Answers with what it got: method, path, length and sum of the body, and in how many parts it came."""

    cycle: Cycle

    def __init__(self) -> None:
        self.calls = 0
        self.names: set[bytes] = set()
        self.began: list[float] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.disconnected = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        self.names.update(name for name, _ in scope["headers"])
        self.began.append(scope[BEGAN])
        if scope["path"] == "/early":
            self.cycle = receive.__self__  # type: ignore[attr-defined]  # a method of it
            await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
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
async def running(app: Application, *, clock: Clock | None = None) -> AsyncIterator[uvicorn.Server]:
    """A real server with our protocol."""
    closed: list[str] = []
    connections = Connections(NO_HURRY, clock=clock or MonotonicClock(), on_closed=closed.append)
    protocol: Any = functools.partial(Connection, application=app, connections=connections)
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
async def serving(app: Application) -> AsyncIterator[int]:
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


def chunked_request(*parts: bytes, more: str = "") -> bytes:
    head = f"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n{more}\r\n"
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)
    return head.encode() + chunks + b"0\r\n\r\n"


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
                data = chunked_request(*cut(body, places), more="connection: close\r\n")
            answer = await exchange(port, cut(data, places))
            assert json.loads(answer.partition(b"\r\n\r\n")[2]) == ["POST", "/", len(body), sum(body)]

    asyncio.run(play())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    requests=st.lists(st.tuples(st.binary(max_size=40), st.booleans()), min_size=1, max_size=6),
    places=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_pipelined_requests_are_answered_one_by_one_however_they_are_cut(
    requests: list[tuple[bytes, bool]], places: list[int]
) -> None:
    """With a length or chunked, in any mix: none is taken for a part of another."""

    async def play() -> None:
        async with serving(Echo()) as port:
            data = b"".join(
                chunked_request(body) if chunked else request(body, close=False) for body, chunked in requests
            )
            answer = await exchange(port, cut(data + request(b"the end"), places))
            found = [json.loads(part.partition(b"]")[0] + b"]") for part in answer.split(b"\r\n\r\n")[1:]]
            bodies = [*(body for body, _ in requests), b"the end"]
            assert found == [["POST", "/", len(body), sum(body)] for body in bodies]

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


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
async def test_reading_stays_a_bounded_way_ahead_of_the_application(chunked: bool) -> None:
    """A sender is held back while nobody takes its body, and goes on when somebody does."""
    app = Echo()
    app.may_read.clear()
    async with running(app) as server:
        body = bytes(8 * AHEAD_BYTES)
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        parts = (body[:8000],) * (len(body) // 8000)
        body = b"".join(parts)
        writer.write(chunked_request(*parts, more="connection: close\r\n") if chunked else request(body))

        async def held_back() -> int:
            while True:
                for connection in server.server_state.connections:
                    assert isinstance(connection, Connection)
                    if not connection.flow.is_read and not connection._reader.waits_turn:
                        return connection.cycle._ahead if connection.cycle else 0
                await asyncio.sleep(0)

        ahead = await asyncio.wait_for(held_back(), 20)
        assert AHEAD_BYTES < ahead < 2 * AHEAD_BYTES, "the bound, and what one reading brings beyond it"
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


@pytest.mark.untraced
async def test_what_comes_while_an_answer_is_due_stays_unread() -> None:
    """Beyond one reading, which waits as bytes: no request is begun before its turn, however many are sent."""
    app = Echo()
    app.may_read.clear()
    async with running(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        count = 50_000
        flood = request(b"", close=False) * count
        writer.write(request(b"abc", close=False) + flood)

        async def held_back() -> Connection:
            while True:
                for connection in server.server_state.connections:
                    assert isinstance(connection, Connection)
                    if not connection.flow.is_read:
                        return connection
                await asyncio.sleep(0)

        connection = await asyncio.wait_for(held_back(), 20)
        assert app.calls == 1
        assert len(flood) > 10 * len(connection._reader._ahead) > 0
        app.may_read.set()
        writer.write(request(b"the end"))
        answer = await asyncio.wait_for(reader.read(), 60)
        assert app.calls == count + 2 == answer.count(b"HTTP/1.1 200 OK")
        writer.close()


async def test_a_request_begins_when_its_first_byte_is_read_also_if_it_waits_then() -> None:
    app, clock = Echo(), FakeClock()
    app.may_read.clear()
    async with running(app, clock=clock) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        first = clock.now()
        writer.write(request(b"abc", close=False)[:10])

        async def until(state: str) -> None:
            while True:
                for connection in server.server_state.connections:
                    assert isinstance(connection, Connection)
                    if getattr(connection._reader, state):
                        return
                await asyncio.sleep(0)

        await asyncio.wait_for(until("head"), 20)
        clock.advance(1.0)
        writer.write(request(b"abc", close=False)[10:] + request(b"abc", close=False))
        await asyncio.wait_for(until("is_ahead"), 20)
        clock.advance(5.0)
        app.may_read.set()
        for _ in range(2):
            await asyncio.wait_for(reader.readuntil(b"]"), 20)
        writer.write(request(b"abc"))
        await asyncio.wait_for(reader.read(), 20)
        assert [began - first for began in app.began] == [0.0, 1.0, 6.0]
        writer.close()


def small_chunks(count: int) -> bytes:
    return chunked_request(*[b"a"] * count)


async def test_a_body_of_tiny_chunks_leaves_the_turns_between_to_others() -> None:
    """Any number of such clients, each with more than a thousand turns' work, is passed by whoever comes."""
    app = Echo()
    async with running(app) as server:
        floods = [await asyncio.open_connection("127.0.0.1", port_of(server)) for _ in range(3)]
        for _, writer in floods:
            writer.write(small_chunks(30_000))

        def held() -> int:
            return sum(
                isinstance(connection, Connection) and bool(connection._reader._ahead)
                for connection in server.server_state.connections
            )

        async def all_held() -> None:
            while True:
                if held() == len(floods):
                    return
                await asyncio.sleep(0)

        await asyncio.wait_for(all_held(), 20)
        assert b"200" in await exchange(port_of(server), [request(b"abc")])
        assert held() == len(floods)
        for reader, writer in floods:
            assert b'["POST", "/", 30000, 2910000]' in await asyncio.wait_for(reader.readuntil(b"]"), 20)
            writer.close()


async def test_where_too_many_wait_for_a_turn_one_more_is_answered_429() -> None:
    """So that what they have sent does not fill the memory; who sends larger chunks is not concerned."""
    async with running(Echo()) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(request(b"abc", close=False))
        await asyncio.wait_for(reader.readuntil(b"]"), 20)
        (connection,) = server.server_state.connections
        assert isinstance(connection, Connection)
        turns, waiting = connection._reader._turns, True

        def wait() -> None:
            if waiting:
                turns.ask(wait)

        for _ in range(MOST):
            turns.ask(wait)
        assert b"200" in await exchange(port_of(server), [chunked_request(*[b"a" * 2048] * 100) + request(b"abc")])
        assert (await exchange(port_of(server), [small_chunks(1000)])).startswith(b"HTTP/1.1 429 ")
        waiting = False
        writer.close()


async def test_requests_after_one_of_tiny_chunks_wait_for_their_turn() -> None:
    async with serving(Echo()) as port:
        answer = await exchange(port, [small_chunks(1000) + small_chunks(3) + request(b"the end")])
        assert [json.loads(part.partition(b"]")[0] + b"]")[2] for part in answer.split(b"\r\n\r\n")[1:]] == [1000, 3, 7]


class Holding(Echo):
    """Holds bodies within a bound, as the service does."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.admission = Admission(max_requests=9, max_bytes=1000, slowest_seconds=60.0, now=self.clock.now)
        self.held = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def charged() -> Message:
            message = await receive()
            held.charge(len(message.get("body", b"")))
            self.held.set()
            return message

        with HeldBytes(self.admission) as held:
            held.expect(scope[LET_GO])
            await super().__call__(scope, charged, send)


async def test_a_body_that_stalls_is_let_go_with_408_for_one_that_has_no_room() -> None:
    app = Holding()
    async with running(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(request(bytes(900))[:-1])
        await asyncio.wait_for(app.held.wait(), 20)
        app.clock.advance(PATIENCE_SECONDS + 1)
        assert b"200 OK" in await exchange(port_of(server), [request(bytes(500))])
        head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert "no room" in json.loads(body)["error"]
        await asyncio.wait_for(app.disconnected.wait(), 20)
        assert app.admission.nbytes == 0
        writer.close()


async def test_who_hangs_up_while_its_chunks_wait_is_gone() -> None:
    app = Echo()
    async with running(app) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(small_chunks(50_000)[:-5])
        await writer.drain()
        writer.close()
        await asyncio.wait_for(app.disconnected.wait(), 20)
        assert b"200" in await exchange(port_of(server), [request(b"abc")])


async def test_a_trailer_is_no_header() -> None:
    """Of no request: a key that comes after the body lets nobody in."""
    app = Echo()
    async with serving(app) as port:
        trailed = chunked_request(b"abc")[:-2] + b"Authorization: Bearer key\r\nx: y\r\n\r\n"
        answer = await exchange(port, [trailed + request(b"the end")])
        assert answer.count(b"HTTP/1.1 200 OK") == 2
        assert b'["POST", "/", 3, 294]' in answer
        assert app.names == {b"host", b"transfer-encoding", b"content-length", b"connection"}


async def test_trailers_without_an_end_are_answered_431_and_kept_nowhere() -> None:
    app = Echo()
    async with serving(app) as port:
        answer = await exchange(port, [chunked_request(b"abc")[:-2] + b"a:\r\n" * 257])
        assert answer.startswith(b"HTTP/1.1 431 ")
        await asyncio.wait_for(app.disconnected.wait(), 20)


async def test_empty_lines_without_an_end_are_answered_400() -> None:
    """A few before a request are passed over."""
    async with serving(Echo()) as port:
        assert b"200" in await exchange(port, [b"\r\n" * 32 + request(b"abc")])
        assert (await exchange(port, [b"\r\n" * 33 + request(b"abc")])).startswith(b"HTTP/1.1 400 ")


async def test_what_is_only_discarded_is_read_once_a_turn() -> None:
    """After an early answer or a refusal: else a fast sender would keep the loop for as long as it likes."""
    for path, answered in (("/early", b"413"), ("/\xff", b"400")):
        async with running(Echo()) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            head = request(b"", path=path, close=False).replace(b"length: 0", b"length: 99999999")
            writer.write(head)
            assert answered in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            (connection,) = server.server_state.connections
            assert isinstance(connection, Connection)
            for _ in range(3):
                connection.data_received(b"a" * 1000)
                assert not connection.flow.is_read
                await asyncio.sleep(0)
                assert connection.flow.is_read
            writer.close()


async def test_after_an_early_answer_nothing_of_the_body_is_kept() -> None:
    app = Echo()
    async with running(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        data = request(bytes(8 * AHEAD_BYTES), path="/early", close=False)
        writer.write(data[:10_000])
        assert b"413" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert not app.cycle._parts
        writer.write(data[10_000:] + request(b"abc"))
        assert b"200" in await asyncio.wait_for(reader.read(), 20)
        assert not app.cycle._parts
        writer.close()


HEAD = b"POST / HTTP/1.1\r\nhost: x\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n"
GET_TOO = b"GET /smuggled HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        HEAD + b"content-length: 3\r\ncontent-length: 5\r\n",
        HEAD + b"content-length: 3\r\ncontent-length: 3\r\n",
        HEAD + b"content-length: 3, 3\r\n",
        HEAD + b"content-length: +3\r\n",
        HEAD + b"content-length: 0x3\r\n",
        HEAD + b"content-length: -3\r\n",
        HEAD + b"content-length:\r\n",
        HEAD + b"content-length: 99999999999999999999999\r\n",
        HEAD + b"content-length : 3\r\n",
        CHUNKED + b"content-length: 3\r\n",
        HEAD + b"content-length: 3\r\ntransfer-encoding: chunked\r\n",
        HEAD + b"transfer-encoding: zip\r\n",
        HEAD + b"transfer-encoding: zip, chunked\r\n",
        HEAD + b"transfer-encoding: chunked, zip\r\n",
        HEAD + b"transfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n",
        HEAD + b"transfer-encoding: identity\r\n",
        HEAD + b"transfer-encoding: xchunked\r\n",
        HEAD + b"transfer-encoding: \x0bchunked\r\n",
        HEAD + b"transfer-encoding:\r\n",
        CHUNKED + b"transfer-encoding: chunked\r\n",
        CHUNKED.replace(b"1.1", b"1.0"),
        CHUNKED.replace(b"\r\n", b"\n"),
        HEAD + b"x: a\r\n b\r\n",
        HEAD + b"x: a\x00b\r\n",
        HEAD + b"x y: a\r\n",
        HEAD + b"nonsense\r\n",
        HEAD.replace(b"POST", b"PUTT"),
        HEAD.replace(b"POST /", b"CONNECT x:80"),
        HEAD.replace(b"POST /", b"CONNECT /x"),
        HEAD.replace(b"POST /", b"POST /\xff"),
        HEAD.replace(b"POST /", b"POST http://x"),
        HEAD.replace(b"1.1", b"3.1"),
        b"PRI * HTTP/2.0\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        HEAD.replace(b"host: x\r\n", b""),
        HEAD + b"Host: x\r\n",
        HEAD.replace(b"1.1", b"1.0") + b"host: y\r\n",
        *(
            HEAD.replace(b"host: x", b"host: " + host)
            for host in (b"a b", b"x/y", b"a@b", b"x:y", b"::1", b"[x", b"\xe4")
        ),
    ],
    ids=repr,
)
async def test_a_head_that_can_be_read_in_two_ways_is_answered_400_and_the_rest_dropped(head: bytes) -> None:
    """So is what is no HTTP at all; the application never sees it, nor what was smuggled behind it."""
    app = Echo()
    async with serving(app) as port:
        answer = await exchange(port, [head + b"\r\n3\r\nabc\r\n0\r\n\r\n" + GET_TOO])
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n")
        assert answer.count(b"\r\n\r\n") == 1
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "malformed_request"
        assert app.calls == 0


@pytest.mark.parametrize(
    "body",
    [
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b"3\nabc\n0\n\n",
        b"\r\n\r\n",
        b"fffffffffffffffff\r\nabc\r\n",
        b"3\r\nabc\r\n0\r\ncontent-length: 7\r\n\r\n",
    ],
    ids=repr,
)
async def test_a_body_whose_chunks_cannot_be_read_is_answered_400_and_its_request_ends(body: bytes) -> None:
    app = Echo()
    async with serving(app) as port:
        answer = await exchange(port, [CHUNKED + b"\r\n", body + GET_TOO])
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert app.calls == 1
        await asyncio.wait_for(app.disconnected.wait(), 20)


@pytest.mark.parametrize("host", [b"", b"x_y.example.", b"10.0.0.1:8000", b"[::1]:80", b"[fe80::1%25eth0]", b"a%2eb:"])
async def test_a_host_is_served_whatever_it_is_and_http_1_0_without_one(host: bytes) -> None:
    async with serving(Echo()) as port:
        served = request(b"ab").replace(b"host: x", b"Host:  " + host.upper())
        assert (await exchange(port, [served])).startswith(b"HTTP/1.1 200 ")
        old = request(b"ab").replace(b"host: x\r\n", b"").replace(b"1.1", b"1.0")
        assert (await exchange(port, [old])).startswith(b"HTTP/1.1 200 ")


async def test_an_upgrade_that_is_offered_is_ignored() -> None:
    """As by RFC 9110: the request is answered whole, body and all, and so is the next; Java's client offers h2c."""
    async with serving(Echo()) as port:
        offer = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
        for first in (request(b"abc", close=False, more=offer), chunked_request(b"a", b"bc", more=offer)):
            answer = await exchange(port, [first + request(b"ef")])
            assert answer.count(b"HTTP/1.1 200 OK") == 2
            assert b'["POST", "/", 3, 294]' in answer
            assert b'["POST", "/", 2, 203]' in answer
