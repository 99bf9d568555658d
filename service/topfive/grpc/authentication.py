"""Authentication over gRPC: an RPC needs an API key, unless it is open to all.

The key is checked before any of the message is received.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Any

import grpc

from topfive.access.api_keys import ApiKeys, unauthenticated
from topfive.grpc.refusals import given, refusal_of, refuse
from topfive.observe.metrics import Metrics
from topfive.serving.reporting import request_id_of


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # published without types
    """Asks each RPC for one of `keys`, unless its path is `open_to_all`; counts in `metrics` those that have none."""

    def __init__(self, keys: ApiKeys, *, open_to_all: Collection[str], metrics: Metrics) -> None:
        self._keys = keys
        self._open = frozenset(open_to_all)
        self._metrics = metrics
        # A stream's handler, unlike that of a unary RPC, is called before the message is received.
        self._refusing = grpc.stream_unary_rpc_method_handler(self._refuse)

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        """The RPC's own handler, or the one that refuses."""
        if handler_call_details.method in self._open or self._is_known(handler_call_details.invocation_metadata):
            return await continuation(handler_call_details)
        return self._refusing

    def _is_known(self, metadata: Any) -> bool:
        given = [value for name, value in metadata if name == "authorization"]
        return len(given) == 1 and isinstance(given[0], str) and self._keys.tenant_of(given[0]) is not None

    async def _refuse(self, _: object, context: Any) -> bytes:
        error = unauthenticated()
        self._metrics.rejected.labels(error.code).inc()
        return await refuse(context, refusal_of(error, request_id_of(given(context).request_id)))
