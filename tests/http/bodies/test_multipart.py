"""A form's parts arrive byte for byte, however it is written; a body that is no whole form is refused."""

from __future__ import annotations

import base64
import tracemalloc
from typing import Final

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.http.bodies import multipart
from topfive.http.bodies.multipart import Part, read_form

BOUNDARY_CHARACTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=?"
IMAGE: Final = b"\r\n--not-the-boundary\r\n\x00\xff"
NEWLINES: Final = st.sampled_from([b"\r\n", b"\n"])
near_boundaries = st.lists(st.sampled_from([b"\r", b"\n", b"-", b"--", b"X", b"a"]), max_size=12).map(b"".join)


def part(data: bytes = IMAGE, *headers: str, name: str = "image", filename: str | None = "photo.jpg") -> bytes:
    """A part as browsers and curl write it."""
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    return "\r\n".join([disposition, *headers]).encode() + b"\r\n\r\n" + data


def form(*parts: bytes, boundary: str = "X", closed: bool = True, newline: bytes = b"\r\n") -> bytes:
    opening = f"--{boundary}".encode() + newline
    return b"".join(opening + one + newline for one in parts) + (f"--{boundary}--".encode() + newline) * closed


def read(
    body: bytes | memoryview, content_type: bytes = b"multipart/form-data; boundary=X", max_parts: int = 9
) -> list[Part]:
    return read_form(body, content_type, max_parts=max_parts)


def only(body: bytes, content_type: bytes = b"multipart/form-data; boundary=X") -> tuple[bytes, str]:
    (found,) = read(body, content_type)
    return bytes(found.data), found.media_type


@pytest.mark.parametrize(
    ("headers", "media_type"),
    [
        ([], ""),
        (["Content-Type: image/jpeg"], "image/jpeg"),
        (["content-type:Image/PNG; name=x"], "image/png"),
        (["X-Other: image/gif", "Content-Type: image/bmp", "Content-Length: 9"], "image/bmp"),
        (["Content-Type:", " image/png"], "image/png"),
        (["Content-Transfer-Encoding: binary"], ""),
    ],
)
def test_the_part_has_its_bytes_and_its_type(headers: list[str], media_type: str) -> None:
    assert only(form(part(IMAGE, *headers))) == (IMAGE, media_type)


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=100), min_size=1, max_size=4),
    st.text(BOUNDARY_CHARACTERS, min_size=1, max_size=70),
    st.booleans(),
    NEWLINES,
    st.sampled_from([b"", b"This is a preamble.", b"two\nlines", b"--"]),
    st.sampled_from([b"", b"an epilogue", b"--X"]),
)
def test_any_bytes_come_through_any_boundary(
    files: list[bytes], boundary: str, quoted: bool, newline: bytes, before: bytes, after: bytes
) -> None:
    delimiter = newline + b"--" + boundary.encode()
    # No client may choose a boundary that is in what it sends.
    assume(not any(delimiter in newline + data + newline for data in [*files, before]))
    assume(b"\n--" + boundary.encode() not in b"\n" + before)
    quoted = quoted or not boundary.isalnum()
    header = f'multipart/form-data; boundary="{boundary}"' if quoted else f"multipart/form-data; boundary={boundary}"
    preamble = before + newline if before else b""
    body = preamble + form(*(part(data) for data in files), boundary=boundary, newline=newline) + after
    assert [bytes(found.data) for found in read(body, header.encode())] == files


@given(st.lists(near_boundaries, min_size=1, max_size=3))
def test_data_that_resembles_the_boundary_comes_through(files: list[bytes]) -> None:
    assume(not any(b"\r\n--X" in b"\r\n" + data for data in files))
    assert [bytes(found.data) for found in read(form(*map(part, files)))] == files


def test_a_longer_boundary_within_is_data() -> None:
    """As of a form inside a form; the same in an LF form with CR before the boundary."""
    inner = form(part(b"x"), boundary="XY")
    assert only(form(part(inner))) == (inner, "")
    assert only(form(part(b"ends in \r"), newline=b"\n")) == (b"ends in \r", "")


@given(st.binary(max_size=600), st.integers(1, 64))
def test_windows_do_not_hide_a_boundary(data: bytes, size: int) -> None:
    assume(b"\r\n--X" not in b"\r\n" + data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multipart, "_FIRST_WINDOW", size)
        patch.setattr(multipart, "_WINDOW", size)
        assert only(b"preamble\r\n" + form(part(data))) == (data, "")


def test_parts_are_views_of_the_body() -> None:
    """Eight megabytes are read without a copy of them."""
    body = memoryview(form(part(bytes(8 << 20))))
    tracemalloc.start()
    (found,) = read(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.data) == 8 << 20
    assert peak < 1 << 20


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ('form-data; name="a"', "a", None),
        ("form-data; name=a; filename=b.jpg", "a", "b.jpg"),
        ('FORM-DATA; NAME="a"; FileName=""', "a", ""),
        ("form-data; name=\"files[]\"; filename*=UTF-8''gr%C3%BC%C3%9Fe.jpg", "files[]", "gr%C3%BC%C3%9Fe.jpg"),
        ('form-data; name="a;b"; filename="say \\"x\\".jpg"', "a;b", 'say "x".jpg'),
        ('form-data; filename="C:\\temp\\x.jpg"', "", "C:\\temp\\x.jpg"),
        ('form-data; name="unclosed', "unclosed", None),
        ("attachment", "", None),
    ],
)
def test_names_are_read_as_senders_write_them(disposition: str, name: str, filename: str | None) -> None:
    (found,) = read(form(f"Content-Disposition: {disposition}\r\n\r\n".encode() + IMAGE))
    assert (found.name, found.filename, bytes(found.data)) == (name, filename, IMAGE)


def test_a_part_may_have_no_headers() -> None:
    (found,) = read(form(b"\r\n" + IMAGE))
    assert (found.name, found.filename, bytes(found.data)) == ("", None, IMAGE)
    assert str(found) == "part 1"


@given(st.binary(max_size=100))
def test_base64_is_decoded_as_mail_libraries_write_it(data: bytes) -> None:
    body = form(part(base64.encodebytes(data), "Content-Transfer-Encoding: BASE64"))
    assert only(body) == (data, "")


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


@pytest.mark.parametrize("header", [b"a/b;boundary=X", b"a/b; Boundary = X ; charset=utf-8", b'a/b; c=d; boundary="X"'])
def test_the_boundary_may_be_written_in_several_ways(header: bytes) -> None:
    assert only(form(part()), header) == (IMAGE, "")


def test_an_empty_form_has_no_parts() -> None:
    assert read(form()) == []


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
        b"--X\r\nno colon\r\n\r\n\r\n--X--\r\n",
        b"--X\r\n--X--\r\n",
        form(b"A: " + b"x" * 9000 + b"\r\n\r\n"),
        form(part(b"x", "Content-Transfer-Encoding: quoted-printable")),
        form(part(b"x!", "Content-Transfer-Encoding: base64")),
    ],
)
def test_a_body_that_is_no_whole_form_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedRequest, match=r"multipart body|Transfer-Encoding|base64"):
        read(body)


def test_parts_are_bounded_at_the_one_too_many() -> None:
    """What follows it, here nothing that could be read, is not looked at."""
    assert len(read(form(*[part()] * 9))) == 9
    with pytest.raises(TooLarge, match="more than 9 parts"):
        read(form(*[part()] * 10, closed=False) + b"--X\r\nrubbish")


def test_the_headers_of_a_part_are_bounded() -> None:
    """In lines and in parameters, as those of the request are: each takes far longer than its bytes."""
    for least, most in ((b"a: b\r\n" * 16, b"a: b\r\n" * 17), (b"a: b\r\n c\r\n" * 8, b"a: b\r\n c\r\n" * 9)):
        assert len(read_form(b"--b\r\n" + least + b"\r\nx\r\n--b--", b"f; boundary=b", max_parts=1)) == 1
        with pytest.raises(TooLarge, match="16 lines"):
            read_form(b"--b\r\n" + most + b"\r\nx\r\n--b--", b"f; boundary=b", max_parts=1)
    disposition = b"--b\r\nContent-Disposition: form-data" + b"; a=b" * 17 + b"\r\n\r\nx\r\n--b--"
    for body, header in ((disposition, b"f; boundary=b"), (b"--b--", b"f; boundary=b" + b"; a=b" * 16)):
        with pytest.raises(TooLarge, match="16 parameters"):
            read_form(body, header, max_parts=1)


@given(value=st.text(alphabet='a"\\', max_size=20))
def test_a_quoted_name_is_read_as_it_was_meant(value: str) -> None:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    body = f'--b\r\nContent-Disposition: form-data; name="{quoted}"\r\n\r\nx\r\n--b--'.encode()
    (part,) = read_form(body, b"f; boundary=b", max_parts=1)
    assert part.name == value


def test_lines_that_only_begin_like_the_boundary_are_bounded() -> None:
    with pytest.raises(TooLarge, match="begin like its boundary"):
        read(form(part(b"\r\n--Xa" * 5000)))
    with pytest.raises(MalformedRequest):
        read(b"\r\n--Xa" * 5000)


WHOLE: Final = form(part(b"\x00\x01 some bytes of an image \r\n\xff", "Content-Type: image/png"))


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
        parts = read(bytes(body[:end]), header)
    except MalformedRequest:
        return
    assert all(bytes(found.data) in body for found in parts)


@given(st.binary(max_size=80), st.binary(max_size=40))
def test_garbage_is_refused(body: bytes, header: bytes) -> None:
    with pytest.raises(MalformedRequest):
        read(body, header)
