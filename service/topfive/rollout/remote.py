"""A shadow at a URL: another service that speaks `POST /v1/classify`, over a few connections that are kept alive.

What lives here: one exchange over HTTP, in a thread, with a bound on its time and on the size of its answer. What does
not: when copies are sent (`rollout.shadow`). The connections are the standard library's. A certificate is verified as
the system's store says. A key is sent and never logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import orjson

from topfive import __version__
from topfive.ground.types import Timings
from topfive.images.decoding import RawShape
from topfive.images.files.limits import Buffer
from topfive.machine.workers import WorkerPool
from topfive.request.classifier import Asked, Classification
from topfive.request.sources import EncodedImages
from topfive.rollout.comparison import Labelled, first_of
from topfive.rollout.targets import COPIED, Load, NotAnswered, nbytes_kept

_CONNECTIONS: Final = 4
_MAX_ANSWER_BYTES: Final = 1 << 20
_PATH: Final = "/v1/classify"
_MAX_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class _Post:
    """One request to the other service: its query beside that of the URL, and its body."""

    query: Mapping[str, int]
    body: Buffer


class RemoteTarget:
    """The service at `url`; `key`: an API key for it, or empty. Made and used on one event loop."""

    needs_idle = False

    def __init__(self, url: str, *, key: str, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._pool: WorkerPool | None = None  # made at the first copy, on the event loop
        self._idle = [_Line(url, key=key, seconds=timeout_seconds) for _ in range(_CONNECTIONS)]
        self._busy: set[_Line] = set()

    @property
    def free(self) -> bool:
        """See `Target`."""
        return bool(self._idle)

    def loads(self, asked: Asked, result: Classification) -> Sequence[Load]:
        """See `Target`: the images as they came, in one."""
        body, source = asked.body, asked.source
        if isinstance(source, RawShape):
            assert isinstance(body, bytes | bytearray | memoryview)
            query = {"height": source.height, "width": source.width, "count": source.count}
            return [Load([_Post(query, body)], nbytes_kept([body]), source.count)]
        files: Any = body if isinstance(source, EncodedImages) else [body]
        return [Load([_Post({}, file) for file in files], nbytes_kept(files), len(files))]

    def live_seconds(self, timings: Timings) -> float:
        """See `Target`: all stages."""
        return timings.decode_seconds + timings.resize_seconds + timings.queue_seconds + timings.inference_seconds

    def answer(self, content: Sequence[_Post]) -> Coroutine[Any, Any, tuple[Sequence[Labelled], float]]:
        """See `Target`; the seconds include the way there and back."""
        line = self._idle.pop()
        self._busy.add(line)
        return self._answer(line, content)

    async def _answer(self, line: _Line, content: Sequence[_Post]) -> tuple[Sequence[Labelled], float]:
        if self._pool is None:
            self._pool = WorkerPool(threads=_CONNECTIONS, name="shadow")
        run = self._pool.run(line.ask, content)
        run.add_done_callback(lambda _: self._back(line))
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await asyncio.shield(run)
        except TimeoutError as error:
            line.cut()
            run.add_done_callback(_told)
            raise NotAnswered("timeout", f"no answer within {self._timeout_seconds:g} s") from error

    async def close(self, *, seconds: float) -> None:
        """See `Target`: cut what runs, and let the threads end."""
        lines = [*self._busy, *self._idle]
        for line in lines:
            line.cut()
        # A thread that hangs (looking up a name, say) is a daemon: it ends with the process, as does its connection.
        if self._pool is not None and self._pool.close(timeout_seconds=seconds):
            for line in lines:
                line.close()

    def _back(self, line: _Line) -> None:
        self._busy.discard(line)
        self._idle.append(line)


class _Line:
    """One connection, made anew when it is needed; `ask` runs on a thread, one at a time, `cut` on the event loop."""

    def __init__(self, url: str, *, key: str, seconds: float) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._query = parts.query
        self._path = parts.path.rstrip("/").removesuffix(_PATH) + _PATH
        self._headers = {"Content-Type": "application/octet-stream", COPIED: f"topfive/{__version__}"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        if parts.scheme == "https":
            context = ssl.create_default_context()
            self._connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, parts.port, timeout=seconds, context=context
            )
        else:
            self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds)

    def ask(self, posts: Sequence[_Post]) -> tuple[Sequence[Labelled], float]:
        """Send one request for each of `posts`; what each image got, and the seconds; raises `NotAnswered`."""
        began = time.monotonic()
        answers: list[Labelled] = []
        try:
            for post in posts:
                answers += _read(*self._exchange(post))
        except TimeoutError as error:
            self._connection.close()
            raise NotAnswered("timeout", f"no answer in time: {error}") from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise NotAnswered("failed", f"{type(error).__name__}: {error}"[:_MAX_SHOWN]) from error
        return answers, time.monotonic() - began

    def close(self) -> None:
        """Close the connection; nothing runs on it."""
        self._connection.close()

    def cut(self) -> None:
        """End what `ask` waits for."""
        sock: socket.socket | None = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):  # it has ended by itself
                sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self, post: _Post) -> tuple[int, bytes]:
        """Status and body of the answer. A kept connection that the other side has closed meanwhile is made anew."""
        kept = self._connection.sock is not None
        try:
            return self._exchange_once(post)
        except (ConnectionError, http.client.BadStatusLine):
            self._connection.close()
            if not kept:
                raise
            return self._exchange_once(post)

    def _exchange_once(self, post: _Post) -> tuple[int, bytes]:
        query = "&".join(filter(None, [self._query, urlencode(post.query)]))
        self._connection.request("POST", f"{self._path}?{query}" if query else self._path, post.body, self._headers)
        response = self._connection.getresponse()
        body = response.read(_MAX_ANSWER_BYTES)
        if not response.isclosed():
            self._connection.close()
            raise NotAnswered("failed", f"its answer broke off, or has more than {_MAX_ANSWER_BYTES} bytes")
        return response.status, body


def _read(status: int, body: bytes) -> list[Labelled]:
    """The labels of each image in an answer of `/v1/classify`; raises `NotAnswered`."""
    if status != 200:
        raise NotAnswered("failed", f"status {status}: {body[:_MAX_SHOWN]!r}")
    try:
        answer: Any = orjson.loads(body)
        images = answer.get("images", [answer])
        return [
            first_of((each["label"], float(each["probability"])) for each in image["predictions"]) for image in images
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotAnswered("failed", f"its answer is not that of {_PATH}: {body[:_MAX_SHOWN]!r}") from error


def _told(run: asyncio.Future[Any]) -> None:
    """Retrieve what a call that was given up came to, so that asyncio does not log it as unreported."""
    if not run.cancelled():
        run.exception()
