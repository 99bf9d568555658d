"""HTTP as the generators speak it: answers put together from any pieces, requests that a server understands."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive_loadgen.http1 import Response, ResponseParser, render, render_head


def answer(body: bytes, *, status: int = 200) -> bytes:
    head = f"HTTP/1.1 {status} Reason\r\nserver: x\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=4), st.data())
def test_an_answer_is_the_same_however_it_was_cut(bodies: list[bytes], data: st.DataObject) -> None:
    """Split reads, down to single bytes, give each answer exactly once, on its last piece."""
    parser = ResponseParser()
    for body in bodies:
        message = answer(body, status=429)
        inner = data.draw(st.sets(st.integers(1, len(message) - 1)))
        pieces = [message[start:end] for start, end in pairwise([0, *sorted(inner), len(message)])]
        *early, last = [parser.feed(piece) for piece in pieces]
        assert early == [None] * len(early)
        assert last == Response(429, body)


def test_more_than_one_answer_is_refused() -> None:
    """An answer nobody asked for would otherwise be taken for the next one."""
    with pytest.raises(ValueError, match="more than one"):
        ResponseParser().feed(answer(b"{}") + b"HTTP/1.1")


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"SSH-2.0\r\n\r\n"])
def test_other_framing_is_refused(head: bytes) -> None:
    """What the parser does not understand it says, rather than waiting for ever."""
    with pytest.raises(ValueError, match="Content-Length"):
        ResponseParser().feed(head)


def test_headers_are_found_in_lower_case_and_without_their_padding() -> None:
    head = b"HTTP/1.1 200 OK\r\nServer: one\r\nINFERENCE-Header-Content-Length:  12 \r\nDate: a:b\r\nContent-Length: 0"
    response = ResponseParser().feed(head + b"\r\n\r\n")
    assert response is not None
    assert response.headers == {
        "server": "one",
        "inference-header-content-length": "12",
        "date": "a:b",
        "content-length": "0",
    }
    assert response.header("Inference-Header-Content-Length") == "12"
    assert response.header("retry-after") is None


def test_a_request_is_its_head_and_its_body() -> None:
    """With the length of the body, and a Host that can be another one."""
    message = render("POST", "/v1/classify", b"abc", Content_Type="image/jpeg", Host="there:81")
    assert message == (
        b"POST /v1/classify HTTP/1.1\r\nHost: there:81\r\nContent-Type: image/jpeg\r\nContent-Length: 3\r\n\r\nabc"
    )
    assert render_head("POST", "/v1/classify", 3, Content_Type="image/jpeg", Host="there:81") + b"abc" == message
