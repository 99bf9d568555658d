"""The last answers of a connection are whole HTTP answers in the shape of all errors."""

from __future__ import annotations

import socket

import pytest

from tests.testkit.serving_process import AnswerReader
from topfive.http.server.refusals import (
    CHUNKS_MALFORMED,
    HEAD_TOO_LARGE,
    KEPT_OTHERS_WAITING,
    MALFORMED,
    NO_HOST,
    NO_TUNNEL,
    TOO_MANY_CHUNKS,
    TRAILERS_TOO_LARGE,
    UNKNOWN_CODING,
    Refusal,
    too_slow,
)

SLOW = too_slow(head_seconds=10.0, body_seconds=0.5)


@pytest.mark.parametrize(
    ("refusal", "status", "code", "word"),
    [
        (SLOW, 408, "request_timeout", "within 10 s, its body within 0.5 s"),
        (KEPT_OTHERS_WAITING, 408, "request_timeout", "max_in_flight_bytes"),
        (HEAD_TOO_LARGE, 431, "head_too_large", "65536"),
        (TRAILERS_TOO_LARGE, 431, "trailers_too_large", "leave them out"),
        (TOO_MANY_CHUNKS, 429, "queue_full", "Content-Length"),
        (NO_HOST, 400, "malformed_request", "one Host"),
        (CHUNKS_MALFORMED, 400, "malformed_request", "Content-Length"),
        (MALFORMED, 400, "malformed_request", "RFC 9112"),
        (UNKNOWN_CODING, 400, "malformed_request", "Content-Length"),
        (NO_TUNNEL, 400, "malformed_request", "CONNECT"),
    ],
)
def test_a_refusal_is_a_whole_answer_that_closes(refusal: Refusal, status: int, code: str, word: str) -> None:
    """And says what to do."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(refusal.answer)
        ours.shutdown(socket.SHUT_WR)
        reader = AnswerReader(theirs)
        answer = reader.next()
        assert word in answer.assert_error(status, code)
        assert answer.headers["connection"] == "close"
        assert reader.rest() == b""
        reader.finish()
