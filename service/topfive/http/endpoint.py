"""The frame around each inference route over HTTP: it takes the time, turns errors into answers, and reports.

What does not live here: what a request asks and how it is answered (`http.classify`, `http.infer`), and what a report
is (`serving.reporting`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final, NamedTuple

from topfive.ground.client_addresses import ClientAddresses
from topfive.ground.errors import NotReady, TopfiveError
from topfive.ground.types import BEGAN, LET_GO, TENANT, LookedUp, Timings
from topfive.http.bodies.compression import Run, coding_of, inflate
from topfive.http.bodies.reading import Receive, Scope, Send, check_length, declared_length, read_body
from topfive.http.error_responses import (
    Headers,
    error_body,
    error_headers,
    internal_error_body,
    retry_headers,
)
from topfive.observe.logs import RequestLog
from topfive.observe.trace_context import read_trace_context
from topfive.request.admission import Entry
from topfive.serving.reporting import Report, Reporter, log_failure
from topfive.serving.serving import Serving

JSON: Final = (b"content-type", b"application/json")
_WANTED_HEADERS: Final = frozenset(
    (
        b"content-type",
        b"content-length",
        b"content-encoding",
        b"accept-encoding",
        b"inference-header-content-length",
        b"x-request-id",
        b"traceparent",
        b"tracestate",
    )
)
_MILLISECONDS: Final = 1000.0
_MAX_PATH: Final = 200
"""Characters of a path that are reported; the paths of this service are shorter."""


class Reply(NamedTuple):
    """The body of an answer, and its headers except those that `Endpoint` adds to every answer."""

    body: bytes
    headers: Headers


class Exchange(Report):
    """One request over HTTP; it began when the first byte of its head was read.

    `length`: its Content-Length, None for a chunked body, and `coding`: its content coding, empty for none; both by
    `check_head`.
    """

    __slots__ = ("_now", "coding", "headers", "length", "receive", "scope")

    def __init__(self, scope: Scope, receive: Receive, now: Callable[[], float]) -> None:
        self.scope = scope
        self.receive = receive
        self.headers = headers = _wanted(scope["headers"])
        self._now = now
        parent = headers.get(b"traceparent")
        trace = None if parent is None else read_trace_context(parent, headers.get(b"tracestate"))
        super().__init__(headers.get(b"x-request-id"), trace, started=scope.get(BEGAN) or now())
        self.tenant = scope.get(TENANT)
        self.length: int | None = None
        self.coding = b""

    def check_head(self, *, max_body_bytes: int) -> None:
        """Read what the head says of the body; raises `MalformedRequest`, `UnsupportedMediaType` or `TooLarge`."""
        coding = self.headers.get(b"content-encoding")
        if coding is not None:
            self.coding = coding_of(coding)
        self.length = declared_length(self.headers.get(b"content-length"))
        check_length(self.length, max_body_bytes)

    async def body(self, entry: Entry, *, limit: int, run: Run) -> bytes | memoryview:
        """The whole body, charged to `entry`; a compressed body is inflated by `run`, on another thread."""
        coding = self.coding
        let_go = self.scope.get(LET_GO)
        if let_go is not None:
            entry.expect(let_go)
        body = await read_body(self.receive, length=self.length, limit=limit, charge=entry.charge)
        entry.is_whole()
        self.nbytes = len(body)
        self.received = self._now()
        return await inflate(body, coding, limit=limit, charge=entry.charge, run=run) if coding else body

    def header(self, name: str) -> bytes | None:
        """See `Report`; of several, the first."""
        wanted = name.encode()
        return next((value for header, value in self.scope["headers"] if header == wanted), None)

    def attributes(self) -> Mapping[str, str]:
        """See `Report`."""
        scope = self.scope
        return {
            "http.request.method": scope["method"],
            "url.path": scope["path"][:_MAX_PATH],
            "url.scheme": scope["scheme"],
            "network.protocol.version": scope["http_version"],
        }

    def origin(self, clients: ClientAddresses) -> Mapping[str, str]:
        """See `Report`."""
        peer = self.scope.get("client")
        forwarded = b",".join(value for name, value in self.scope["headers"] if name == b"x-forwarded-for")
        address = clients.find(peer[0] if peer else None, forwarded.decode("latin-1"))
        return {"method": self.scope["method"], "client": address}


Handler = Callable[[Exchange], Awaitable[Reply]]


class Endpoint:
    """The ASGI application for one route; `handler` returns the answer or raises one of `topfive.ground.errors`."""

    def __init__(self, serving: Serving, log: RequestLog, *, route: str, handler: Handler) -> None:
        self._reporter = Reporter(serving.metrics, log, route=route, tracing=serving.tracing, clients=serving.clients)
        self._handler = handler
        self._now = serving.clock.now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; every error of `topfive.ground.errors` becomes its status here."""
        exchange = Exchange(scope, receive, self._now)
        try:
            body, headers = await self._handler(exchange)
            status = 200
        except TopfiveError as error:
            status, body, headers = self._refusal(error, exchange)
        except asyncio.CancelledError:  # the time for the stop is over: uvicorn cancels the requests that are left
            stopped = NotReady("the service stopped before it could answer; send the request to another replica")
            exchange.error = stopped
            status, body, headers = 503, error_body(str(stopped), stopped.code), [JSON, *retry_headers(stopped)]
        except Exception as error:  # noqa: BLE001  # our own defects are answered and logged too
            status, body, headers = 500, internal_error_body(exchange.request_id), [JSON]
            log_failure(exchange.request_id, error)
        total = self._now() - exchange.started
        start_headers = [
            *headers,
            (b"content-length", str(len(body)).encode()),
            (b"x-request-id", exchange.request_id.encode()),
        ]
        if exchange.timings is not None:
            start_headers.append((b"server-timing", _server_timing(exchange.timings, total, exchange.looked_up)))
        await send({"type": "http.response.start", "status": status, "headers": start_headers})
        await send({"type": "http.response.body", "body": body})
        self._reporter.finished(exchange, status, total)

    def _refusal(self, error: TopfiveError, exchange: Exchange) -> tuple[int, bytes, Headers]:
        status = self._reporter.refused(exchange, error)
        if status == 500:
            return 500, internal_error_body(exchange.request_id), [JSON]
        return status, error_body(str(error), error.code), [JSON, *error_headers(error)]


def _wanted(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    wanted = [header for header in headers if header[0] in _WANTED_HEADERS]
    found = dict(wanted)
    if len(found) < len(wanted):  # a header on several lines is one list (RFC 9110, section 5.3): keep every line
        for name in found:
            found[name] = b", ".join(value for other, value in wanted if other == name)
    return found


def _server_timing(timings: Timings, total: float, looked_up: LookedUp | None) -> bytes:
    """A Server-Timing header: durations in milliseconds."""
    cache = "" if looked_up is None else f"{_cache_timing(looked_up)}, "
    return (
        f"{cache}"
        f"decode;dur={timings.decode_seconds * _MILLISECONDS:.3f}, "
        f"resize;dur={timings.resize_seconds * _MILLISECONDS:.3f}, "
        f"queue;dur={timings.queue_seconds * _MILLISECONDS:.3f}, "
        f"inference;dur={timings.inference_seconds * _MILLISECONDS:.3f}, "
        f"total;dur={total * _MILLISECONDS:.3f}"
    ).encode()


def _cache_timing(looked_up: LookedUp) -> str:
    """What the answer cache had: `hit`, `miss`, or how many of the images, in quotes as it is no token."""
    some = f'"{looked_up.hits} of {looked_up.images}"'
    had = "hit" if looked_up.is_whole else some if looked_up.hits else "miss"
    return f"cache;desc={had};dur={looked_up.seconds * _MILLISECONDS:.3f}"
