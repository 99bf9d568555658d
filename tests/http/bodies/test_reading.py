"""A body is read whole, into one buffer, within its limit; and the client's leaving is noticed without waiting."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from topfive.ground.errors import ClientDisconnected, MalformedRequest, QueueFull, TooLarge
from topfive.http.bodies.reading import Message, Receive, check_length, declared_length, disconnect_probe, read_body

DISCONNECT: Message = {"type": "http.disconnect"}


def free(nbytes: int) -> None:
    """Charges nothing."""


def messages_of(parts: Sequence[bytes]) -> list[Message]:
    """The ASGI messages that carry `parts`, the last one saying that it is the last."""
    last = len(parts) - 1
    return [{"type": "http.request", "body": part, "more_body": number < last} for number, part in enumerate(parts)]


class Client:
    """The receiving end of a connection on which `messages` arrive; asking for more than those is an error."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.waiting = list(messages)

    async def receive(self) -> Message:
        return self.waiting.pop(0)


def read(messages: Sequence[Message], *, length: int | None, limit: int = 1000) -> tuple[bytes, Client]:
    client = Client(messages)
    return bytes(asyncio.run(read_body(client.receive, length=length, limit=limit, charge=free))), client


@pytest.mark.parametrize(
    ("header", "length"),
    [(None, None), (b"0", 0), (b"7", 7), (b"007", 7), (b"123456789012345678", 123456789012345678)],
)
def test_the_declared_length(header: bytes | None, length: int | None) -> None:
    assert declared_length(header) == length


@pytest.mark.parametrize(
    "header",
    [
        *(b"", b"+1", b"-1", b"1_0", b" 1", b"1 ", b"1.0", b"1e3", b"0x1", b"1,1", b"1" * 19, b"9" * 5000),
        *("\N{FULLWIDTH DIGIT ONE}".encode(), "\N{SUPERSCRIPT TWO}".encode()),
    ],
)
def test_a_length_that_is_no_plain_number_is_refused(header: bytes) -> None:
    with pytest.raises(MalformedRequest, match="Content-Length"):
        declared_length(header)


chunkings = st.lists(st.binary(max_size=40), min_size=1, max_size=8)


@given(chunkings, st.booleans())
def test_the_body_is_its_parts_in_order(parts: list[bytes], declared: bool) -> None:
    whole = b"".join(parts)
    body, client = read(messages_of(parts), length=len(whole) if declared else None, limit=len(whole))
    assert body == whole
    assert not client.waiting


@given(chunkings, st.data())
def test_a_body_over_the_limit_is_refused_as_soon_as_it_passes_it(parts: list[bytes], data: st.DataObject) -> None:
    """One that says so in its head, before any of it is read."""
    whole = b"".join(parts)
    assume(whole)
    limit = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(TooLarge, match=f"at most {limit} are accepted"):
        check_length(len(whole), limit)
    client = Client(messages_of(parts))
    with pytest.raises(TooLarge, match=f"more than {limit} bytes"):
        asyncio.run(read_body(client.receive, length=None, limit=limit, charge=free))
    seen = parts[: len(parts) - len(client.waiting)]
    assert sum(map(len, seen[:-1])) <= limit < sum(map(len, seen))


@given(chunkings, st.integers(0, 300))
def test_a_length_that_is_not_true_adds_and_loses_no_byte(parts: list[bytes], length: int) -> None:
    """The server holds clients to their word; should one not, what was announced is never passed."""
    whole = b"".join(parts)
    if len(messages_of(parts)) > 1 and length < len(whole):
        with pytest.raises(MalformedRequest, match="more bytes than its Content-Length"):
            read(messages_of(parts), length=length)
    else:
        assert read(messages_of(parts), length=length)[0] == whole


@given(chunkings)
def test_every_byte_is_charged_as_it_comes_and_a_refusal_ends_the_reading(parts: list[bytes]) -> None:
    charged: list[int] = []

    def charge(nbytes: int) -> None:
        charged.append(nbytes)
        if sum(charged) > 20:
            raise QueueFull("memory is spent")

    client = Client(messages_of(parts))
    reading = read_body(client.receive, length=None, limit=10_000, charge=charge)
    if sum(map(len, parts)) > 20:
        with pytest.raises(QueueFull):
            asyncio.run(reading)
        assert sum(charged[:-1]) <= 20
    else:
        assert len(asyncio.run(reading)) == sum(charged) == sum(map(len, parts))


@given(chunkings, st.booleans())
def test_a_client_that_leaves_before_its_body_is_complete(parts: list[bytes], declared: bool) -> None:
    messages = [{**message, "more_body": True} for message in messages_of(parts)]
    length = sum(map(len, parts)) + 1 if declared else None
    for arrived in range(len(messages) + 1):
        with pytest.raises(ClientDisconnected):
            read([*messages[:arrived], DISCONNECT], length=length)


@pytest.mark.parametrize(
    "messages",
    [
        [{"type": "http.request"}],
        [{"type": "http.request", "more_body": True}, {"type": "http.request", "body": b""}],
    ],
)
def test_a_message_may_leave_out_what_is_empty(messages: list[Message]) -> None:
    assert read(messages, length=None)[0] == b""


def test_a_body_of_one_message_is_not_copied() -> None:
    whole = b"x" * 1000
    body = asyncio.run(read_body(Client(messages_of([whole])).receive, length=1000, limit=1000, charge=free))
    assert body is whole


def test_a_body_of_known_length_takes_its_memory_once() -> None:
    parts = [bytes(1 << 16)] * 64
    size = sum(map(len, parts))

    async def read_traced() -> int:
        client = Client(messages_of(parts))
        tracemalloc.start()
        body = await read_body(client.receive, length=size, limit=size, charge=free)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(body) == size
        return peak

    assert asyncio.run(read_traced()) < 1.1 * size  # collecting the parts and joining them would take it twice


class Connection:
    """A server's end as uvicorn's is: `receive` waits for an event, then says what happened."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()

    async def receive(self) -> Message:
        await self.changed.wait()
        return DISCONNECT


async def receive_nothing_new() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def receive_disconnect() -> Message:
    return DISCONNECT


@pytest.mark.parametrize(("receive", "gone"), [(receive_nothing_new, False), (receive_disconnect, True)])
async def test_the_probe_knows_what_is_known_at_once(receive: Receive, gone: bool) -> None:
    assert disconnect_probe(receive)() is gone


async def test_the_probe_neither_waits_nor_takes_the_news_away() -> None:
    connection = Connection()
    abandoned = disconnect_probe(connection.receive)
    assert [abandoned() for _ in range(100)] == [False] * 100
    waiting = asyncio.create_task(connection.receive())
    await asyncio.sleep(0)
    assert not abandoned()
    connection.changed.set()
    assert abandoned()
    assert await waiting == DISCONNECT
    assert abandoned()


async def test_the_probe_leaves_nothing_behind() -> None:
    connection = Connection()
    assert not disconnect_probe(connection.receive)()
    assert not connection.changed._waiters
    assert asyncio.all_tasks() == {asyncio.current_task()}
