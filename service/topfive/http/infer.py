"""`POST /v2/models/{model}[/versions/{version}]/infer`: the protocol's inference route, JSON or binary.

What lives here: HTTP's part of it. What does not: what the bytes mean (`protocol.rest`), errors, headers and the log
(`http.endpoint`), and the order of the steps (`request.classifier`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from topfive.http.bodies.compression import coding_wanted, deflate
from topfive.http.bodies.reading import disconnect_probe
from topfive.http.endpoint import JSON, Exchange, Reply
from topfive.models.served import ServedModel
from topfive.protocol.parameters import HIGHEST_PRIORITY
from topfive.protocol.requests import InferRequest, version_of
from topfive.protocol.rest import check_json_length, json_length_of, parse, render
from topfive.request.admission import Entry
from topfive.request.classifier import Announced
from topfive.serving.serving import Serving

ROUTE: Final = "/v2/models/{model}/infer"
ROUTES: Final = (ROUTE, "/v2/models/{model}/versions/{version}/infer")

_PATH: Final = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?/infer")
_BINARY: Final = (b"content-type", b"application/octet-stream")
_JSON_LENGTH: Final = b"inference-header-content-length"
_LIGHT_JSON_BYTES: Final = 1 << 16
"""JSON of at most this size is parsed at once: two changes to another thread and back would take longer."""


def is_infer(path: str) -> bool:
    """Whether `path` is that of an inference request."""
    return path.endswith("/infer") and path.startswith("/v2/models/") and _PATH.fullmatch(path) is not None


class InferHandler:
    """Answers the route on `serving`."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    async def __call__(self, exchange: Exchange) -> Reply:
        """See `http.docs.infer`."""
        serving = self._serving
        headers = exchange.headers
        model = exchange.model = serving.trials.find(*_named(exchange.scope["path"]), exchange)
        json_length = json_length_of(headers.get(_JSON_LENGTH))
        exchange.check_head(max_body_bytes=serving.settings.max_body_bytes)
        limit = self._limit(exchange, json_length)
        announced = Announced(
            model, exchange.started, nbytes=exchange.length or 0, priority=HIGHEST_PRIORITY, tenant=exchange.tenant
        )
        door = _Door(serving, exchange, model, json_length, limit)
        request, result = await serving.trials.answer(announced, door, exchange)
        exchange.answered(result)
        return _reply(*render(result.model, request.id, request.outputs, result.rows), headers.get(b"accept-encoding"))

    def _limit(self, exchange: Exchange, json_length: int | None) -> int:
        """The most bytes that the body may have. Raises now, by the head alone, what would be raised after reading."""
        settings = self._serving.settings
        if exchange.length is not None and not exchange.coding:
            check_json_length(json_length, exchange.length, most=settings.max_json_bytes)
        if json_length is None:  # all of it is JSON
            return min(settings.max_body_bytes, settings.max_json_bytes)
        return settings.max_body_bytes


class _Door:
    """One request to the route; see `request.classifier.Door`."""

    __slots__ = ("_body", "_exchange", "_json_length", "_limit", "_model", "_serving", "is_abandoned")

    def __init__(
        self, serving: Serving, exchange: Exchange, model: ServedModel, json_length: int | None, limit: int
    ) -> None:
        self._serving = serving
        self._exchange = exchange
        self._model = model
        self._json_length = json_length
        self._limit = limit
        self._body: bytes | memoryview = b""
        self.is_abandoned: Callable[[], bool] = disconnect_probe(exchange.receive)

    async def receive(self, entry: Entry) -> None:
        self._body = await self._exchange.body(entry, limit=self._limit, run=self._serving.classifier.pool.run)

    def is_light(self) -> bool:
        most = self._serving.settings.max_json_bytes
        return check_json_length(self._json_length, len(self._body), most=most) <= _LIGHT_JSON_BYTES

    def understand(self) -> InferRequest:
        return parse(self._body, self._json_length, self._model, limits=self._serving.limits)


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
