"""A form's image arrives byte for byte; a body that is no such form is refused, whatever it holds."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from service.errors import MalformedRequest
from service.routes.multipart import image_part

BOUNDARY_CHARACTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=?"
IMAGE: Final = b"\r\n--not-the-boundary\r\n\x00\xff"


def part(data: bytes = IMAGE, name: str = "image", *headers: str, filename: str = "photo.jpg") -> bytes:
    """A part as browsers and curl write it."""
    disposition = f'Content-Disposition: form-data; name="{name}"; filename="{filename}"'
    return "\r\n".join([disposition, *headers]).encode() + b"\r\n\r\n" + data


def form(*parts: bytes, boundary: str = "X", closed: bool = True) -> bytes:
    opening = f"--{boundary}\r\n".encode()
    return b"".join(opening + one + b"\r\n" for one in parts) + f"--{boundary}--\r\n".encode() * closed


def read(body: bytes, content_type: bytes = b"multipart/form-data; boundary=X") -> tuple[bytes, str]:
    return image_part(body, content_type)


@pytest.mark.parametrize(
    ("headers", "media_type"),
    [
        ([], ""),
        (["Content-Type: image/jpeg"], "image/jpeg"),
        (["content-type:Image/PNG; name=x"], "image/png"),
        (["X-Other: image/gif", "Content-Type: image/bmp", "Content-Length: 9"], "image/bmp"),
    ],
)
def test_the_part_has_its_bytes_and_its_type(headers: list[str], media_type: str) -> None:
    assert read(form(part(IMAGE, "image", *headers))) == (IMAGE, media_type)


@settings(deadline=None)
@given(st.binary(max_size=300), st.text(BOUNDARY_CHARACTERS, min_size=1, max_size=70), st.booleans())
def test_any_bytes_come_through_any_boundary(data: bytes, boundary: str, quoted: bool) -> None:
    assume(b"\r\n--" + boundary.encode() not in b"\r\n" + data)  # no client may choose such a boundary
    quoted = quoted or not boundary.isalnum()
    header = f'multipart/form-data; boundary="{boundary}"' if quoted else f"multipart/form-data; boundary={boundary}"
    assert read(form(part(data), boundary=boundary), header.encode()) == (data, "")


@given(st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"X", b"a"]), max_size=12).map(b"".join))
def test_data_that_resembles_the_boundary_comes_through(data: bytes) -> None:
    assume(b"\r\n--X" not in b"\r\n" + data)
    assert read(form(part(data))) == (data, "")


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/form-data; boundary=" + b"x" * 71,
        b"multipart/form-data; charset=utf-8",
    ],
)
def test_the_boundary_must_be_announced(content_type: bytes) -> None:
    with pytest.raises(MalformedRequest, match="boundary of 1 to 70 bytes"):
        read(form(part()), content_type)


@pytest.mark.parametrize(
    ("parts", "has"),
    [
        ([], "none|cannot be read"),
        ([part(name="file")], "file"),
        ([part(name="Image")], "Image"),
        ([part(name="")], "it has: "),
        ([part(), part()], "image, image"),
        ([part(), part(b"5", "count")], "image, count"),
        ([part(b"5", "count"), part()], "count, image"),
        ([part(name="x" * 500)], "x" * 200),
        ([part(IMAGE, "image", 'Content-Disposition: form-data; name="count"')], "image, count"),
        ([b"Content-Type: image/png\r\n\r\n" + IMAGE], "none"),
    ],
)
def test_the_form_has_exactly_one_field(parts: list[bytes], has: str) -> None:
    with pytest.raises(MalformedRequest, match=has) as caught:
        read(form(*parts))
    assert len(str(caught.value)) < 350


def test_a_part_without_a_name_adds_nothing_to_the_image() -> None:
    nameless = b"Content-Type: text/plain\r\n\r\nsomething else"
    for parts in ([nameless, part()], [part(), nameless]):
        with pytest.raises(MalformedRequest, match="exactly one field"):
            read(form(*parts))


def test_what_follows_the_closing_boundary_is_ignored() -> None:
    assert read(form(part()) + b"an epilogue") == (IMAGE, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n",
        b"--",
        b"{}",
        b"--Y\r\n" + part() + b"\r\n--Y--\r\n",
        form(part(), closed=False),
        form(part())[:-5],
        form(part())[:30],
        b"--X\r\n\xff\xfe: x\r\n\r\n\r\n--X--\r\n",
        b"--X\r\n: x\r\n\r\n\r\n--X--\r\n",
    ],
)
def test_a_body_that_is_no_whole_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"multipart body|exactly one field"):
        read(body)


WHOLE: Final = form(part(b"\x00\x01 some bytes of an image \r\n\xff", "image", "Content-Type: image/png"))


@settings(max_examples=300, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=4),
    end=st.integers(0, len(WHOLE)),
    header=st.just(b"a/b; boundary=X") | st.binary(max_size=40).map(lambda tail: b"a/b; boundary=" + tail),
)
def test_damaged_forms_are_read_or_refused(edits: list[tuple[int, int]], end: int, header: bytes) -> None:
    body = bytearray(WHOLE)
    for position, value in edits:
        body[position] = value
    try:
        data, _ = read(bytes(body[:end]), header)
    except MalformedRequest:
        return
    assert data in body


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_garbage_is_refused(body: bytes, header: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read(body, header)
