"""The last answers of a connection are whole HTTP answers in the shape of all errors."""

from __future__ import annotations

import socket

import pytest

from service.refusals import HEAD_TOO_LARGE, MALFORMED, NO_TUNNEL, UNKNOWN_CODING, Refusal, too_slow
from tests.serving_process import AnswerReader

SLOW = too_slow(head_seconds=10.0, body_seconds=0.5)


@pytest.mark.parametrize(
    ("refusal", "status", "code", "word"),
    [
        (SLOW, 408, "request_timeout", "within 10 s, its body within 0.5 s"),
        (HEAD_TOO_LARGE, 431, "head_too_large", "65536"),
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
