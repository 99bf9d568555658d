"""Heads end where a blank line is, however they are cut, say what was sent, and are bounded before they are parsed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from topfive.http.server.heads import CHUNKED, Head
from topfive.http.server.refusals import HEAD_TOO_LARGE, MAX_HEADERS, Refusal, Unreadable

BEGAN = 12.5


def read(*pieces: bytes) -> tuple[Head, int]:
    """The head, and how far into the last piece it reaches."""
    head, end = Head(BEGAN), 0
    for piece in pieces:
        assert not head.is_complete
        end = head.take(piece, 0)
    return head, end


def refused(*pieces: bytes) -> Refusal:
    with pytest.raises(Unreadable) as caught:
        read(*pieces)
    return caught.value.refusal


@given(places=st.lists(st.integers(0, 200), max_size=6), rest=st.binary(max_size=10))
def test_a_head_ends_at_its_blank_line_however_it_is_cut(places: list[int], rest: bytes) -> None:
    whole = b"POST /a%20b?c=%20d HTTP/1.1\r\nHost: x\r\nX: y\r\nContent-Length: 3\r\n\r\n"
    edges = [0, *sorted(place % len(whole) for place in places), len(whole)]
    pieces = [whole[start:end] for start, end in pairwise(edges) if end > start]
    pieces[-1] += rest
    head, end = read(*pieces)
    assert head.is_complete
    assert pieces[-1][end:] == rest
    assert (head.method, head.http_version, head.body_bytes, head.keeps_alive) == ("POST", "1.1", 3, True)
    assert head.headers == [(b"host", b"x"), (b"x", b"y"), (b"content-length", b"3")]
    scope = head.scope()
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=%20d")
    assert head.began == BEGAN


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", b""),
        (b"/?", "/", b""),
        (b"//a/b??c", "//a/b", b"?c"),
        (b"http://x:80/a?b", "/a", b"b"),
        (b"/a?b#c", "/a", b"b"),
        (b"/a#b?c", "/a", b""),
        (b"*", "*", b""),
    ],
    ids=repr,
)
def test_every_form_of_target_has_its_path_and_query(target: bytes, path: str, query: bytes) -> None:
    scope = read(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0].scope()
    assert (scope["path"], scope["raw_path"].decode(), scope["query_string"]) == (path, path, query)


@given(
    target=st.one_of(
        st.text("/:?#@[]%.*ax9", min_size=1, max_size=12).map(str.encode),
        st.text("/:?#@[]%.*ax9", max_size=12).map(lambda text: b"http://" + text.encode()),
        st.binary(min_size=1, max_size=6),
    )
)
@example(target=b"http://x")
@example(target=b"http://x:99999/")
@example(target=b"/\xe4")
def test_a_target_is_read_or_refused_whatever_it_is(target: bytes) -> None:
    try:
        scope = read(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0].scope()
    except Unreadable:
        return
    assert scope["raw_path"] in target


@pytest.mark.parametrize(
    ("line", "headers", "expected"),
    [
        (b"GET / HTTP/1.1", b"Connection: close\r\n", (0, False, False)),
        (b"GET / HTTP/1.1", b"Connection: x, Close\r\n", (0, False, False)),
        (b"GET / HTTP/1.0", b"Connection: keep-alive\r\n", (0, False, False)),
        (b"PUT / HTTP/1.1", b"Transfer-Encoding: Chunked\r\nExpect: 100-Continue\r\n", (CHUNKED, True, True)),
        (b"PUT / HTTP/1.1", b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 7\r\n", (7, False, True)),
    ],
    ids=repr,
)
def test_a_head_tells_how_the_body_comes_and_what_becomes_of_the_connection(
    line: bytes, headers: bytes, expected: tuple[int, bool, bool]
) -> None:
    head, _ = read(line + b"\r\nHost: x\r\n" + headers + b"\r\n")
    assert (head.body_bytes, head.expects_continue, head.keeps_alive) == expected


def test_a_head_of_too_many_headers_is_refused_before_they_are_looked_at() -> None:
    head = Head(BEGAN)
    with pytest.raises(Unreadable) as caught:
        head.take(b"GET / HTTP/1.1\r\n" + b"a:\r\n" * 10_000, 0)
    assert caught.value.refusal is HEAD_TOO_LARGE
    assert head.headers == []


def test_the_most_headers_are_read_and_one_more_is_not() -> None:
    start = b"GET / HTTP/1.1\r\nHost: x\r\n"
    most = MAX_HEADERS - 1
    assert len(read(start + b"a:\r\n" * most + b"\r\n")[0].headers) == MAX_HEADERS
    assert refused(start + b"a:\r\n" * (most + 1) + b"\r\n") is HEAD_TOO_LARGE
