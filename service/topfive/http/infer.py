"""`POST /v2/models/{model}[/versions/{version}]/infer`: the protocol's inference route, JSON or binary.

What lives here: HTTP's part of it. What the bytes mean is in `inference_protocol.rest`; errors, headers and the log in
`routes.endpoint`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Final

from topfive.ground.errors import ClientDisconnected
from topfive.http.bodies.compression import coding_wanted, deflate
from topfive.http.bodies.reading import check_length, disconnect_probe
from topfive.http.endpoint import JSON, Exchange, Reply
from topfive.protocol.parameters import HIGHEST_PRIORITY
from topfive.protocol.requests import InferRequest, version_of
from topfive.protocol.rest import check_json_length, json_length_of, parse, render
from topfive.request.entry import Entry
from topfive.serving.serving import Serving

ROUTE: Final = "/v2/models/{model}/infer"
ROUTES: Final = (ROUTE, "/v2/models/{model}/versions/{version}/infer")

_PATH: Final = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer")
_BINARY: Final = (b"content-type", b"application/octet-stream")
_JSON_LENGTH: Final = b"inference-header-content-length"
_LIGHT_JSON_BYTES: Final = 1 << 16
"""JSON that is read in less time than a change of thread and back takes twice."""


def is_infer(path: str) -> bool:
    """Whether `path` is that of an inference request."""
    return path.endswith("/infer") and path.startswith("/v2/models/") and _PATH.fullmatch(path) is not None


class InferHandler:
    """Answers the route on `serving`."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._now = serving.clock.now
        self._reading = asyncio.Lock()

    async def __call__(self, exchange: Exchange) -> Reply:
        """See `routes.docs.infer`."""
        serving = self._serving
        headers = exchange.headers
        started = self._now()
        model = exchange.model = serving.models.find(*_named(exchange.scope["path"]))
        json_length = json_length_of(headers.get(_JSON_LENGTH))
        length = exchange.declared_length
        limit = self._limit(exchange, length, json_length)
        deadline = serving.classifier.deadline(model, None)
        with Entry(
            serving.admission, model, nbytes=length or 0, images=1, deadline=deadline, priority=HIGHEST_PRIORITY
        ) as entry:
            body = await exchange.body(entry, limit=limit, run=serving.classifier.aside)
            most = serving.settings.max_json_bytes
            light = check_json_length(json_length, len(body), most=most) <= _LIGHT_JSON_BYTES
            read = partial(parse, body, json_length, model, limits=serving.limits)
            abandoned = disconnect_probe(exchange.receive)
            request = read() if light else await self._aside(read, abandoned)
            if request.timeout_seconds is not None:
                deadline = serving.classifier.deadline(model, request.timeout_seconds, since=started)
            result = await serving.classifier.classify(
                model,
                request.body,
                request.source,
                entry=entry,
                deadline=deadline,
                abandoned=abandoned,
                priority=request.priority,
            )
        exchange.timings = result.timings
        exchange.images = len(result.rows)
        return _reply(*render(model, request.id, request.outputs, result.rows), headers.get(b"accept-encoding"))

    async def _aside(self, read: Callable[[], InferRequest], abandoned: Callable[[], bool]) -> InferRequest:
        """What `read` gives, on another thread, one at a time.

        The parser lets nobody else run, so two of them would be no faster; but the event loop, which has to answer
        probes, would wait for both.
        """
        async with self._reading:
            if abandoned():
                raise ClientDisconnected("the client hung up after its body")
            return await self._serving.classifier.aside(read)

    def _limit(self, exchange: Exchange, length: int | None, json_length: int | None) -> int:
        """How long the body may be; raises, by the head alone, what would be raised after reading it."""
        settings = self._serving.settings
        check_length(length, settings.max_body_bytes)
        if length is not None and not exchange.coding:
            check_json_length(json_length, length, most=settings.max_json_bytes)
        if json_length is None:  # all of it is JSON
            return min(settings.max_body_bytes, settings.max_json_bytes)
        return settings.max_body_bytes


def _named(path: str) -> tuple[str, int | None]:
    found = _PATH.fullmatch(path)
    assert found is not None
    return found["model"], version_of(found["version"])


def _reply(body: bytes, json_length: int | None, accepted: bytes | None) -> Reply:
    headers = [JSON] if json_length is None else [_BINARY, (_JSON_LENGTH, str(json_length).encode())]
    coding = coding_wanted(accepted) if accepted else b""
    if not coding:
        return Reply(body, headers)
    return Reply(deflate(body, coding), [*headers, (b"content-encoding", coding), (b"vary", b"accept-encoding")])
