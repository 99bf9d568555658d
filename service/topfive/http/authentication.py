"""Authentication over HTTP: a request needs an API key, unless its path is open to all.

The open paths are the probes, the page at `/`, the documentation and, unless a setting says otherwise, the metrics.
"""

from __future__ import annotations

from typing import Final

from topfive.access.api_keys import ApiKeys, unauthenticated
from topfive.ground.types import TENANT
from topfive.http.bodies.reading import Scope, Send
from topfive.http.error_responses import error_body, error_headers, status_of
from topfive.http.health import LIVE, READY
from topfive.observe.metrics import Metrics

OPEN: Final = (*LIVE, *READY, "/", "/docs", "/openapi.json")
_OPEN_FOLDER: Final = "/static/"
_METRICS: Final = "/metrics"


class Gate:
    """Asks each request for one of `keys`, and counts in `metrics` the requests that have none."""

    def __init__(self, keys: ApiKeys, *, metrics_need_key: bool, metrics: Metrics) -> None:
        self._keys = keys
        self._metrics = metrics
        self._open = frozenset(OPEN if metrics_need_key else (*OPEN, _METRICS))

    def lets_in(self, scope: Scope) -> bool:
        """Whether a request of this `scope` may go on; the tenant of its key is then in the scope too."""
        path = scope["path"]
        if path in self._open or path.startswith(_OPEN_FOLDER):
            return True
        given = [value for name, value in scope["headers"] if name == b"authorization"]
        tenant = self._keys.tenant_of(given[0].decode("latin-1")) if len(given) == 1 else None
        scope[TENANT] = tenant
        return tenant is not None

    async def refuse(self, send: Send) -> None:
        """Answer a request that may not go on."""
        error = unauthenticated()
        self._metrics.rejected.labels(error.code).inc()
        body = error_body(str(error), error.code)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *error_headers(error),
        ]
        await send({"type": "http.response.start", "status": status_of(error), "headers": headers})
        await send({"type": "http.response.body", "body": body})
