"""Turns errors into gRPC's refusals: a status, a text and trailing metadata.

The text is the same as in HTTP's error body. The trailing metadata are the error's `code`, the seconds after which to
try again (`retry-after`), and the id of the request.
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
"""The most characters of a text: it is sent in a header, and clients bound the length of headers."""

Metadata = tuple[tuple[str, str], ...]


class Given(NamedTuple):
    """What the metadata of an RPC hold: the client's own id for it, and the span that it belongs to."""

    request_id: bytes | None
    trace: TraceContext | None


def given(context: Any) -> Given:
    """The id and the trace that the client of this RPC gave."""
    found: dict[str, str] = {}
    for name, value in context.invocation_metadata():
        if name in _GIVEN and isinstance(value, str):
            # Of several ids the first counts. The lines of a trace header are joined; two parents are then no parent.
            found[name] = f"{found[name]},{value}" if name in found and name != ID else found.get(name, value)
    parent, state = found.get("traceparent"), found.get("tracestate", "")
    trace = None if parent is None else read_trace_context(parent.encode(), state.encode())
    return Given(found[ID].encode() if ID in found else None, trace)


class Refusal(NamedTuple):
    """The end of an RPC that is refused."""

    status: Any
    text: str
    metadata: Metadata


def refusal_of(error: Exception, request_id: str) -> Refusal:
    """The refusal for `error`. For our own defect it shows no internals, but says where the operator finds them."""
    name = grpc_status(error) if isinstance(error, TopfiveError) else "INTERNAL"
    known = ((ID, request_id),)
    if name == "INTERNAL" or not isinstance(error, TopfiveError):
        return Refusal(grpc.StatusCode.INTERNAL, internal_error_text(request_id), (("code", "internal"), *known))
    seconds = retry_seconds(error)
    retry = () if seconds is None else (("retry-after", str(seconds)),)
    return Refusal(grpc.StatusCode[name], str(error)[:_MAX_TEXT], (("code", error.code), *retry, *known))


async def refuse(context: Any, refusal: Refusal) -> NoReturn:
    """End the RPC of `context` with `refusal`; raises the exception by which the library ends a handler."""
    await context.abort(refusal.status, refusal.text, refusal.metadata)
    raise AssertionError("an RPC goes on after its end")
