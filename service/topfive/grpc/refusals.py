"""Errors to gRPC: status, text and trailing metadata of every refusal.

The text is that of HTTP's error body. Its `code`, the seconds after which to try again (`retry-after`) and the id of
the request are trailing metadata.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, NoReturn

import grpc

from topfive.ground.errors import TopfiveError
from topfive.ground.statuses import grpc_status, internal_error_text, retry_seconds
from topfive.observe.trace_context import TraceContext, read_trace_context

ID: Final = "x-request-id"
_GIVEN: Final = frozenset((ID, "traceparent", "tracestate"))
_MAX_TEXT: Final = 1000
"""Characters. They travel in a header, whose length clients bound."""

Metadata = tuple[tuple[str, str], ...]


class Given(NamedTuple):
    """What the metadata of an RPC say of it: the client's own id for it, and the span that it comes from."""

    request_id: bytes | None
    trace: TraceContext | None


def given(context: Any) -> Given:
    """What the client of this RPC gave."""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata():
        if name in _GIVEN and isinstance(value, str):
            # Of several ids the first counts; a trace's lines are one list, and a list of parents is none.
            found[name] = f"{found[name]},{value}" if name in found and name != ID else found.get(name, value)
    parent, state = found.get("traceparent"), found.get("tracestate", "")
    trace = None if parent is None else read_trace_context(parent.encode(), state.encode())
    return Given(found[ID].encode() if ID in found else None, trace)


class Refusal(NamedTuple):
    """How an RPC ends that is not answered."""

    status: Any
    text: str
    metadata: Metadata


def refusal_of(error: Exception, request_id: str) -> Refusal:
    """The refusal for `error`; for one that is our fault, without internals, but with where to find them."""
    name = grpc_status(error) if isinstance(error, TopfiveError) else "INTERNAL"
    known = ((ID, request_id),)
    if name == "INTERNAL" or not isinstance(error, TopfiveError):
        return Refusal(grpc.StatusCode.INTERNAL, internal_error_text(request_id), (("code", "internal"), *known))
    seconds = retry_seconds(error)
    retry = () if seconds is None else (("retry-after", str(seconds)),)
    return Refusal(grpc.StatusCode[name], str(error)[:_MAX_TEXT], (("code", error.code), *retry, *known))


async def refuse(context: Any, refusal: Refusal) -> NoReturn:
    """End the RPC of `context` so; raises what the library ends a handler with."""
    await context.abort(refusal.status, refusal.text, refusal.metadata)
    raise AssertionError("an RPC goes on after its end")
