"""CORS, as the Fetch standard defines it: which pages of other sites may send requests here from a browser.

Credentials are never allowed: an API key comes in a header, and a page must have its own key. Answers that are sent
before there is a request (the head is too large or too slow) carry none of these headers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from topfive.ground.origins import ANY
from topfive.http.bodies.reading import Scope, Send

_ORIGIN: Final = b"origin"
_ASKED_METHOD, _ASKED_HEADERS = b"access-control-request-method", b"access-control-request-headers"
_METHODS: Final = b"GET, HEAD, POST, OPTIONS"
_HEADERS: Final = (
    b"authorization, content-encoding, content-type, inference-header-content-length, traceparent, tracestate, "
    b"x-request-id"
)
"""Headers that our own clients send. Others that a page asks for are allowed too: without credentials they are safe."""
_NAMES: Final = re.compile(rb"[a-zA-Z0-9!#$%&'*+.^_`|~, -]{1,1000}")
_EXPOSED: Final = b"inference-header-content-length, retry-after, server-timing, x-request-id"
_MAX_AGE_SECONDS: Final = b"3600"

Headers = list[tuple[bytes, bytes]]


class Cors:
    """Answers browsers for pages of `origins`; `*` among them stands for every origin."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)
        self._any = ANY.encode() in self._origins

    async def answers(self, scope: Scope, send: Send) -> bool:
        """Answer the request if it is a preflight, which carries no key. Returns whether it was one."""
        if scope["method"] != "OPTIONS":
            return False
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        if _ORIGIN not in headers or _ASKED_METHOD not in headers:
            return False
        found = self._headers(headers[_ORIGIN])
        if self._allows(headers[_ORIGIN]):
            asked = headers.get(_ASKED_HEADERS, b"")
            found += [
                (b"access-control-allow-methods", _METHODS),
                (b"access-control-allow-headers", asked if _NAMES.fullmatch(asked) else _HEADERS),
                (b"access-control-max-age", _MAX_AGE_SECONDS),
            ]
        await send({"type": "http.response.start", "status": 204, "headers": [*found, (b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})
        return True

    def adding(self, scope: Scope, send: Send) -> Send:
        """`send`, which also adds the headers by which a browser lets the page read the answer."""
        origin = next((value for name, value in scope["headers"] if name == _ORIGIN), None)
        more = self._headers(origin)

        async def added(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        return added

    def _allows(self, origin: bytes | None) -> bool:
        return origin is not None and (self._any or origin in self._origins)

    def _headers(self, origin: bytes | None) -> Headers:
        """The headers of an answer to `origin`. `Vary` is sent to every origin if answers differ, because of caches."""
        headers: Headers = [] if self._any else [(b"vary", b"origin")]
        if origin is not None and self._allows(origin):
            headers += [
                (b"access-control-allow-origin", b"*" if self._any else origin),
                (b"access-control-expose-headers", _EXPOSED),
            ]
        return headers
