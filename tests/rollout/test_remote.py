"""A shadow at a URL that answers, is slow, is down, dies, or is something else: each ends, and is told apart."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.testkit.raw_servers import HangingUp, RawServer, answer
from topfive.ground.types import Timings
from topfive.images.decoding import RawShape
from topfive.request.classifier import Asked, Classification
from topfive.request.sources import Body, EncodedImage, EncodedImages, Source
from topfive.rollout.remote import RemoteTarget
from topfive.rollout.targets import NotAnswered

NOTHING = cast("Classification", None)


def predictions(label: str) -> dict[str, Any]:
    return {"predictions": [{"label": label, "index": 1, "probability": 0.5}]}


class Remote(RawServer):
    """Answers with the first bytes of each body as the label, or with `said`; keeps the heads."""

    said: bytes | None = None

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[str] = []

    def serve(self, connection: socket.socket) -> None:
        received = b""
        while piece := connection.recv(65536):
            received += piece
            head, _, body = received.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(body) == length:
                self.heads.append(head.decode())
                connection.sendall(self.reply(body))
                received = b""

    def reply(self, body: bytes) -> bytes:
        return self.said if self.said is not None else answer(json.dumps(predictions(body.decode())).encode())


class Silent(RawServer):
    """Takes requests and never answers."""

    def serve(self, connection: socket.socket) -> None:
        while connection.recv(65536):
            pass


class Dripping(RawServer):
    """Sends a byte of its answer whenever the other side has taken one, and never the last."""

    def serve(self, connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        connection.settimeout(0.01)
        for _ in range(1000):
            connection.sendall(b"1")
            with contextlib.suppress(TimeoutError):
                if not connection.recv(1):
                    return


@contextlib.contextmanager
def running(kind: type[RawServer]) -> Iterator[tuple[Any, str]]:
    server = kind()
    try:
        yield server, f"http://127.0.0.1:{server.address[1]}"
    finally:
        server.close()


async def ask(target: RemoteTarget, body: Body, source: Source) -> list[str]:
    """The first label of each image."""
    [load] = target.loads(cast("Asked", SimpleNamespace(body=body, source=source)), NOTHING)
    assert load.nbytes == (len(body) if isinstance(body, bytes) else len(b"".join(body)))  # type: ignore[arg-type]
    labels, seconds = await target.answer(load.content)
    assert seconds > 0
    return [each.labels[0] for each in labels]


async def test_images_are_sent_as_they_came_over_a_kept_connection() -> None:
    with running(Remote) as (server, url):
        target = RemoteTarget(f"{url}/at/?model=m&version=2", key="k" * 16, timeout_seconds=5)
        assert await ask(target, b"cat", EncodedImage()) == ["cat"]
        assert await ask(target, [b"dog", b"cow"], EncodedImages(["a", "b"])) == ["dog", "cow"]
        server.said = answer(json.dumps({"images": [predictions("hen"), predictions("ox")]}).encode())
        assert await ask(target, bytes(24), RawShape(2, 2, 2)) == ["hen", "ox"]
        assert target.live_seconds(Timings(1, 2, 4, 8)) == 15
        await target.close(seconds=5)
        assert server.connections == 1
    assert server.heads[0].startswith("POST /at/v1/classify?model=m&version=2 HTTP/1.1")
    assert f"Authorization: Bearer {'k' * 16}" in server.heads[0]
    assert "x-topfive-copy: topfive/" in server.heads[0], "it is copied no further"
    assert server.heads[3].startswith("POST /at/v1/classify?model=m&version=2&height=2&width=2&count=2 HTTP/1.1")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (answer(b'{"error":"busy"}', status=429), 'failed: status 429: b\'{"error":"busy"}\''),
        (answer(b"<html>"), "failed: its answer is not that of /v1/classify"),
        (answer(b"[]"), "failed: its answer is not that of /v1/classify"),
        (answer(b'{"predictions":[{"label":"x"}]}'), "failed: its answer is not that of /v1/classify"),
        (b"SSH-2.0-nothing\r\n\r\n", "failed: BadStatusLine"),
        (answer(bytes((1 << 20) + 8)), "failed: its answer broke off, or has more than 1048576 bytes"),
    ],
)
async def test_what_is_no_answer_is_told(said: bytes, message: str) -> None:
    with running(Remote) as (server, url):
        server.said = said
        target = RemoteTarget(url, key="", timeout_seconds=5)
        with pytest.raises(NotAnswered) as refused:
            await ask(target, b"cat", EncodedImage())
        assert f"{refused.value.reason}: {refused.value}".startswith(message)
        server.said = None
        assert await ask(target, b"cat", EncodedImage()) == ["cat"], "the next one is answered"
        await target.close(seconds=5)


@pytest.mark.parametrize("kind", [Silent, Dripping])
async def test_one_that_never_answers_is_given_up_in_time(kind: type[RawServer]) -> None:
    with running(kind) as (_, url):
        target = RemoteTarget(url, key="", timeout_seconds=0.05)
        for _ in range(5):  # more than it has connections: each of them comes back
            with pytest.raises(NotAnswered) as refused:
                await ask(target, b"cat", EncodedImage())
            assert refused.value.reason == "timeout"
        await target.close(seconds=5)


async def test_one_that_is_down_or_dies_is_told_at_once() -> None:
    with running(HangingUp) as (_, url):
        target = RemoteTarget(url, key="", timeout_seconds=5)
        with pytest.raises(NotAnswered, match=r"RemoteDisconnected|ConnectionResetError"):
            await ask(target, b"cat", EncodedImage())
    with pytest.raises(NotAnswered, match="ConnectionRefusedError"):
        await ask(target, b"cat", EncodedImage())
    await target.close(seconds=5)


async def test_a_kept_connection_that_was_closed_meanwhile_is_made_anew() -> None:
    class Once(Remote):
        def serve(self, connection: socket.socket) -> None:
            received = connection.recv(65536)
            connection.sendall(self.reply(received.partition(b"\r\n\r\n")[2]))

    with running(Once) as (server, url):
        target = RemoteTarget(url, key="", timeout_seconds=5)
        server.said = answer(json.dumps(predictions("cat")).encode())
        for _ in range(3):
            assert await ask(target, b"cat", EncodedImage()) == ["cat"]
        await target.close(seconds=5)


async def test_it_takes_as_many_as_it_has_connections_and_its_end_cuts_them() -> None:
    with running(Silent) as (_, url):
        target = RemoteTarget(url, key="", timeout_seconds=60)
        [load] = target.loads(cast("Asked", SimpleNamespace(body=b"cat", source=EncodedImage())), NOTHING)
        calls = []
        while target.free:
            calls.append(target.answer(load.content))
        assert len(calls) == 4
        for call in calls:
            call.close()
        await target.close(seconds=5)
