"""Errors to gRPC: status, text and trailing metadata of every refusal.

The text is that of HTTP's error body. Its `code`, the seconds after which to try again (`retry-after`) and the id of
the request are trailing metadata.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, NoReturn

import grpc

from service.errors import TopfiveError
from service.statuses import grpc_status, internal_error_text, retry_seconds

ID: Final = "x-request-id"
_MAX_TEXT: Final = 1000
"""Characters. They travel in a header, whose length clients bound."""

Metadata = tuple[tuple[str, str], ...]


def given_id(context: Any) -> bytes | None:
    """The request id that the client of this RPC gave."""
    for name, value in context.invocation_metadata():
        if name == ID:
            return value.encode() if isinstance(value, str) else None
    return None


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
