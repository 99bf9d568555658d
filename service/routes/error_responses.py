"""Errors to HTTP: the one table, and the one shape of every error body.

Body: `{"error": "<what and how to fix it>", "code": "<machine-readable>"}`.
"""

from __future__ import annotations

import math
from typing import Final

import orjson

from service import errors

STATUS: Final[dict[type[errors.TopfiveError], int]] = {
    errors.MalformedRequest: 400,
    errors.Unsupported: 400,
    errors.Unauthenticated: 401,
    errors.UnknownModel: 404,
    errors.TooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.UndecodableImage: 422,
    errors.QueueFull: 429,
    errors.ClientDisconnected: 499,  # nobody reads it: for the log and the metrics, as nginx counts it
    errors.BackendFailure: 500,
    errors.NotReady: 503,
    errors.DeadlineExceeded: 504,
}
_RETRY_STATUSES: Final = (429, 503)
_DEFAULT_RETRY_SECONDS: Final = 1.0
_MAX_RETRY_SECONDS: Final = 60

Headers = list[tuple[bytes, bytes]]


def error_body(message: str, code: str) -> bytes:
    """The JSON body of an error."""
    return orjson.dumps({"error": message, "code": code})


def internal_error_body(request_id: str) -> bytes:
    """The body for a defect of ours: no internals, but where to find them."""
    return error_body(f"internal error; the log has the details under request id {request_id}", "internal")


def status_of(error: errors.TopfiveError) -> int:
    """The HTTP status for `error`."""
    return STATUS.get(type(error), 500)


def error_headers(error: errors.TopfiveError) -> Headers:
    """What beside the body tells a client how to put it right."""
    if isinstance(error, errors.Unauthenticated):
        return [(b"www-authenticate", b"Bearer")]
    if isinstance(error, errors.UnsupportedMediaType):
        return [(b"accept-encoding", b"gzip, deflate")]
    return retry_headers(error)


def retry_headers(error: errors.TopfiveError) -> Headers:
    """`Retry-After` in whole seconds, where trying again is the remedy."""
    if status_of(error) not in _RETRY_STATUSES:
        return []
    seconds = error.retry_after_seconds if error.retry_after_seconds is not None else _DEFAULT_RETRY_SECONDS
    return [(b"retry-after", str(math.ceil(min(_MAX_RETRY_SECONDS, max(1, seconds)))).encode())]
