"""One request and its answer: what an application sends becomes HTTP, and one that fails leaves its client answered."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.http.server.test_connection import exchange, request, serving
from topfive.http.server.cycle import Application, Message, Receive, Scope, Send

FAILED = b"HTTP/1.1 500 Internal Server Error\r\n"


def sends(*messages: Message, error: BaseException | None = None) -> Application:
    """An application that sends these, and then fails if it shall."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)
        if error is not None:
            raise error

    return application


def start(status: int = 200, **headers: str) -> Message:
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": named}


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def answer_of(application: Application, *, method: str = "GET", close: bool = True) -> bytes:
    async with serving(application) as port:
        return await exchange(port, [request(b"", method=method, close=close)])


@pytest.mark.parametrize(
    ("messages", "answer"),
    [
        ([start(content_length="2"), part(b"ab")], b"200 OK\r\ncontent-length: 2\r\n\r\nab"),
        ([start(content_length="2"), part(b"a", more=True), part(b"b")], b"200 OK\r\ncontent-length: 2\r\n\r\nab"),
        ([start(), part(b"ab")], b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n"),
        ([start(), part(b"", more=True), part(b"")], b"200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"),
        ([start(204), part(b"")], b"204 No Content\r\n\r\n"),
        ([start(499, content_length="0"), part(b"")], b"499 \r\ncontent-length: 0\r\n\r\n"),
    ],
    ids=["whole", "in parts", "of no length", "empty", "without a body", "of no standard status"],
)
async def test_what_is_sent_is_written_as_it_is_framed(messages: list[Message], answer: bytes) -> None:
    """The head says that the connection closes, which the client has asked for."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    *lines, framing = head.split(b"\r\n")
    close = b"connection: close"
    told = [*lines, close, framing] if framing.startswith(b"transfer") else [*lines, framing, close]
    assert await answer_of(sends(*messages)) == b"HTTP/1.1 " + b"\r\n".join(told) + blank + body


async def test_to_head_no_body_is_written_whatever_is_sent() -> None:
    for message in (start(content_length="2"), start()):
        answer = await answer_of(sends(message, part(b"ab")), method="HEAD")
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\n")


async def test_an_application_can_close_the_connection() -> None:
    application = sends(start(content_length="0", connection="close"), part(b""))
    assert (await answer_of(application, close=False)).count(b"connection: close") == 1


@pytest.mark.parametrize(
    "application",
    [
        sends(error=ValueError("wrong")),
        sends(error=asyncio.CancelledError()),
        sends(start(), error=ValueError("wrong")),
        sends(),
        sends(start()),
        sends(part(b"")),
        sends(start(), start()),
        sends(start(content_length="1"), part(b"ab")),
        sends(start(content_length="3"), part(b"ab")),
        sends(start(x="a\r\nset-cookie: b"), part(b"")),
        sends({**start(), "headers": [(b"x y", b"a")]}, part(b"")),
    ],
    ids=[
        "raises",
        "is cancelled",
        "raises after it started",
        "sends nothing",
        "sends no body",
        "sends no head",
        "starts twice",
        "sends too much",
        "sends too little",
        "splits a header",
        "names a header as none is named",
    ],
)
async def test_an_application_that_fails_is_told_to_the_log_and_its_client(
    application: Application, caplog: pytest.LogCaptureFixture
) -> None:
    """By 500 and nothing else, after which the connection ends."""
    answer = await answer_of(application, close=False)
    assert answer.startswith(FAILED)
    assert answer.endswith(b"connection: close\r\n\r\nInternal Server Error")
    assert answer.count(b"HTTP/1.1") == 1
    assert [record.levelno for record in caplog.records if record.name == "topfive"] == [logging.ERROR]


@pytest.mark.parametrize(
    "application",
    [
        sends(start(), part(b"ab", more=True), error=ValueError("wrong")),
        sends(start(), part(b"ab", more=True)),
        sends(start(content_length="4"), part(b"ab", more=True), part(b"c")),
    ],
    ids=["raises", "sends no end", "sends too little"],
)
async def test_an_answer_that_fails_in_the_middle_is_cut_off(application: Application) -> None:
    """So that its client does not take it for whole."""
    answer = await answer_of(application, close=False)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"ab" in answer
    assert not answer.endswith((b"0\r\n\r\n", b"abc"))


async def test_an_application_that_fails_after_its_answer_costs_its_client_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    application = sends(start(content_length="2"), part(b"ab"), error=ValueError("wrong"))
    async with serving(application) as port:
        answer = await exchange(port, [request(b"", close=False), request(b"")])
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert len(caplog.records) == 2


async def test_an_application_that_fails_when_its_client_is_gone_is_told_to_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """And nothing else goes wrong: there is nothing left to close."""
    failed = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await send(start())
            await send(part(b"ab", more=True))
            while (await receive())["type"] != "http.disconnect":
                pass
            raise ValueError("wrong")
        finally:
            failed.set()

    async with serving(application) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request(b"abc"))
        await reader.readuntil(b"ab\r\n")
        writer.close()
        await asyncio.wait_for(failed.wait(), 20)
        await asyncio.sleep(0)
    assert [record.getMessage() for record in caplog.records] == ["Exception in ASGI application"]
