"""Errors to HTTP: the one shape of every error body; the table of statuses is `topfive.ground.statuses`.

Body: `{"error": "<what and how to fix it>", "code": "<machine-readable>"}`.
"""

from __future__ import annotations

from typing import Final

import orjson

from topfive.ground import errors
from topfive.ground.statuses import HTTP, http_status, internal_error_text, retry_seconds

STATUS: Final = HTTP
status_of: Final = http_status

Headers = list[tuple[bytes, bytes]]


def error_body(message: str, code: str) -> bytes:
    """The JSON body of an error."""
    return orjson.dumps({"error": message, "code": code})


def internal_error_body(request_id: str) -> bytes:
    """The body for a defect of ours: no internals, but where to find them."""
    return error_body(internal_error_text(request_id), "internal")


def error_headers(error: errors.TopfiveError) -> Headers:
    """What beside the body tells a client how to put it right."""
    if isinstance(error, errors.Unauthenticated):
        return [(b"www-authenticate", b"Bearer")]
    if isinstance(error, errors.UnsupportedMediaType):
        return [(b"accept-encoding", b"gzip, deflate")]
    return retry_headers(error)


def retry_headers(error: errors.TopfiveError) -> Headers:
    """`Retry-After` in whole seconds, where trying again is the remedy."""
    seconds = retry_seconds(error)
    return [] if seconds is None else [(b"retry-after", str(seconds).encode())]
