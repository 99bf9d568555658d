"""Error answers over HTTP: their body and headers. The table of statuses is in `ground.statuses`.

Every error body is `{"error": "<what is wrong and how to fix it>", "code": "<machine-readable>"}`.
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
    """The body of an answer to our own defect: it shows no internals, but says where the operator finds them."""
    return error_body(internal_error_text(request_id), "internal")


def error_headers(error: errors.TopfiveError) -> Headers:
    """The headers that tell a client how to put the request right."""
    if isinstance(error, errors.Unauthenticated):
        return [(b"www-authenticate", b"Bearer")]
    if isinstance(error, errors.UnsupportedMediaType):
        return [(b"accept-encoding", b"gzip, deflate")]
    return retry_headers(error)


def retry_headers(error: errors.TopfiveError) -> Headers:
    """`Retry-After` in whole seconds, if trying again later can help; else no headers."""
    seconds = retry_seconds(error)
    return [] if seconds is None else [(b"retry-after", str(seconds).encode())]
