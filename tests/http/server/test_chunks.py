"""Chunks become the body that they were made of, however they are cut; what is beside it is bounded and dropped."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.http.server.chunks import LINES_AT_ONCE, MAX_LINE_BYTES, Chunks
from topfive.http.server.refusals import (
    CHUNKS_MALFORMED,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    TRAILERS_TOO_LARGE,
    Refusal,
    Unreadable,
)

NEXT = b"GET / HTTP/1.1\r\n\r\n"


def read_all(pieces: list[bytes]) -> tuple[bytes, bytes]:
    """The body in `pieces`, as they come one by one, and what comes after it."""
    chunks, body, rest = Chunks(), b"", b""
    for piece in pieces:
        at = 0
        while at < len(piece) and not chunks.over:
            found, after = chunks.read(piece, at)
            assert after > at
            body, at = body + found, after
        rest += piece[at:]
    assert chunks.over
    return body, rest


def refusal_of(data: bytes) -> Refusal:
    with pytest.raises(Unreadable) as error:
        read_all([data])
    return error.value.refusal


def chunk(data: bytes, extension: bytes = b"", *, zeros: int = 0) -> bytes:
    return b"0" * zeros + b"%X%s\r\n%s\r\n" % (len(data), extension, data)


EXTENSIONS = st.sampled_from([b"", b";a", b"; a=b", b';a="b c";d', b";\xff"])
TRAILERS = st.lists(st.sampled_from([b"a:\r\n", b"Authorization: Bearer x\r\n", b"x-y:\tz \r\n"]), max_size=4)


@given(
    parts=st.lists(st.tuples(st.binary(min_size=1, max_size=40), EXTENSIONS, st.integers(0, 3)), max_size=12),
    trailers=TRAILERS,
    places=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_the_body_comes_whole_however_its_chunks_are_cut(
    parts: list[tuple[bytes, bytes, int]], trailers: list[bytes], places: list[int]
) -> None:
    """And what comes after it is left as it is."""
    coded = b"".join(chunk(data, extension, zeros=zeros) for data, extension, zeros in parts)
    data = coded + b"0\r\n" + b"".join(trailers) + b"\r\n" + NEXT
    edges = sorted({0, len(data), *(place % len(data) for place in places)})
    pieces = [data[start:end] for start, end in pairwise(edges)]
    assert read_all(pieces) == (b"".join(part for part, _, _ in parts), NEXT)


@given(data=st.binary(max_size=60))
def test_what_are_no_chunks_is_refused_or_still_waited_for(data: bytes) -> None:
    chunks = Chunks()
    with suppress(Unreadable):
        body, at = chunks.read(data, 0)
        assert at == len(data) or chunks.over
        assert len(body) < len(data) or not data


@pytest.mark.parametrize(
    "data",
    [
        *(b"3\nabc\r\n", b"3 \r\nabc", b" 3\r\nabc", b"+3\r\nabc", b"0x3\r\nabc", b"-3\r\n", b"\r\n", b"g\r\n"),
        *(b"3\r\nabcd\r\n", b"3\r\nabc\n", b"3\r\nabc\r\r\n", b"3\r\r\nabc", b"3;a\rb\r\nabc", b"3;\x00\r\nabc"),
        b"1" * 16 + b"\r\n",
        *(b"0\r\na\r\n", b"0\r\n: b\r\n", b"0\r\na b: c\r\n", b"0\r\na: b\n", b"0\r\na: \x00\r\n", b"0\r\n a: b\r\n"),
        *(b"0\r\nContent-Length: 3\r\n", b"0\r\ntransfer-encoding: chunked\r\n"),
    ],
    ids=repr,
)
def test_chunks_that_can_be_read_in_two_ways_are_refused(data: bytes) -> None:
    assert refusal_of(data) is CHUNKS_MALFORMED


def test_a_line_of_a_chunk_is_bounded_also_one_that_never_ends() -> None:
    longest = b"1;" + b"a" * (MAX_LINE_BYTES - 4) + b"\r\n"
    assert read_all([longest + b"x\r\n0\r\n\r\n"]) == (b"x", b"")
    assert refusal_of(longest.replace(b"\r", b"a\r")) is CHUNKS_MALFORMED
    assert refusal_of(b"1;" + b"a" * MAX_LINE_BYTES) is CHUNKS_MALFORMED
    with pytest.raises(Unreadable):
        read_all([b"1;", *[b"a"] * MAX_LINE_BYTES])


def test_trailers_are_bounded_in_number_and_in_bytes_also_one_that_never_ends() -> None:
    most = b"a:\r\n" * MAX_HEADERS
    assert read_all([b"0\r\n" + most + b"\r\n"]) == (b"", b"")
    for trailers in (most + b"a:\r\n", b"a:" + b"b" * MAX_HEAD_BYTES, (b"a:" + b"b" * 9999 + b"\r\n") * 7):
        assert refusal_of(b"0\r\n" + trailers) is TRAILERS_TOO_LARGE


def test_so_many_chunks_are_read_at_once_and_no_more() -> None:
    chunks, data = Chunks(), chunk(b"a") * 1000
    body, at = chunks.read(data, 0)
    assert len(body) == LINES_AT_ONCE // 2
    assert chunks.read(data, at) == (body, 2 * at)
