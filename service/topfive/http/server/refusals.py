"""The refusals of the HTTP server, as bytes, and the bounds of a head. After a refusal the connection closes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

MAX_HEAD_BYTES: Final = 1 << 16
"""Bound on request line and headers; eight times what browsers and clients send at most."""
MAX_HEADERS: Final = 256
"""A header costs some hundred bytes of memory beside its text."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last answer on a connection, in the shape of all errors."""

    answer: bytes
    reason: str | None
    """The reason under which the closing is counted; None if it is counted already."""


class Unreadable(Exception):
    """Bytes that are not valid HTTP, or exceed a bound; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.answer)
        self.refusal = refusal


def _refusal(status: HTTPStatus, code: str, message: str, *, reason: str | None) -> Refusal:
    body = json.dumps({"error": message, "code": code}).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return Refusal(head.encode() + body, reason)


def too_slow(*, head_seconds: float, body_seconds: float) -> Refusal:
    """The refusal of a client that has not sent the rest of a head or a body in time."""
    message = f"the head of a request must come within {head_seconds:g} s, its body within {body_seconds:g} s after it"
    return _refusal(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", message, reason=None)


KEPT_OTHERS_WAITING: Final = _refusal(
    HTTPStatus.REQUEST_TIMEOUT,
    "request_timeout",
    "this body had almost stopped, and other requests had no room (max_in_flight_bytes); send it again, evenly",
    reason="evicted",
)
STOPPING: Final = _refusal(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "not_ready",
    "the service is stopping, and the rest of this request did not come in time; send it again",
    reason=None,
)
"""For a request that is not whole when the service stops."""
HEAD_TOO_LARGE: Final = _refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "head_too_large",
    f"the head of a request has at most {MAX_HEAD_BYTES} bytes and {MAX_HEADERS} headers; send fewer or shorter ones",
    reason="head_too_large",
)
NO_HOST: Final = _refusal(
    HTTPStatus.BAD_REQUEST,
    "malformed_request",
    "a request of HTTP/1.1 has one Host header, with the host and the port that it was sent to and nothing else",
    reason="malformed",
)
MALFORMED: Final = _refusal(
    HTTPStatus.BAD_REQUEST,
    "malformed_request",
    "this is not HTTP/1.1 as RFC 9112 has it: the request line, a header or the framing of the body cannot be read",
    reason="malformed",
)
CHUNKS_MALFORMED: Final = _refusal(
    HTTPStatus.BAD_REQUEST,
    "malformed_request",
    "these are no chunks as RFC 9112 has them, or one has long extensions: send each as its size in hexadecimal, CRLF, "
    "its bytes, CRLF; or send the body with a Content-Length",
    reason="malformed",
)
TOO_MANY_CHUNKS: Final = _refusal(
    HTTPStatus.TOO_MANY_REQUESTS,
    "queue_full",
    "too many clients send bodies in tiny chunks at once; send chunks of at least two kilobytes, or a Content-Length",
    reason="refused",
)
TRAILERS_TOO_LARGE: Final = _refusal(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "trailers_too_large",
    f"a body has at most {MAX_HEAD_BYTES} bytes of trailers and {MAX_HEADERS} of them; leave them out, for they are "
    "dropped",
    reason="head_too_large",
)
UNKNOWN_CODING: Final = _refusal(
    HTTPStatus.BAD_REQUEST,
    "malformed_request",
    "Transfer-Encoding must be 'chunked' alone, and that in HTTP/1.1; send the body with a Content-Length",
    reason="malformed",
)
NO_TUNNEL: Final = _refusal(
    HTTPStatus.BAD_REQUEST, "malformed_request", "this is no proxy: CONNECT is not served", reason="malformed"
)
