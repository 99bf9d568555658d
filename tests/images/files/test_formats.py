"""What files are called by their first bytes, and what is said of those that are not served."""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.testkit.image_files import encode
from topfive.ground.errors import UndecodableImage, UnsupportedMediaType
from topfive.images.files.formats import (
    AVIF,
    BMP,
    GIF,
    HEIC,
    JPEG,
    PNG,
    SERVED,
    SNIFFED_BYTES,
    TIFF,
    WEBP,
    Format,
    refusal,
    sniff,
)

PICTURE: Final = Image.fromarray(np.zeros((16, 16, 3), np.uint8))


@pytest.mark.parametrize("kind", SERVED, ids=lambda kind: kind.name)
def test_what_pillow_writes_is_known_by_its_first_bytes(kind: Format) -> None:
    assert kind.pillow is not None
    body = encode(PICTURE, kind.pillow)
    assert sniff(body) is kind
    assert sniff(memoryview(bytearray(body))) is kind
    assert sniff(body[:32]) is kind
    assert kind.is_served


def box(major: bytes, *brands: bytes) -> bytes:
    content = b"ftyp" + major + bytes(4) + b"".join(brands)
    return (len(content) + 4).to_bytes(4, "big") + content + b"\0\0\0\x08mdat"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (box(b"avif", b"mif1", b"miaf"), AVIF),
        (box(b"mif1", b"miaf", b"avif"), AVIF),
        (box(b"avis", b"msf1"), AVIF),
        (box(b"heic", b"mif1", b"heic"), HEIC),
        (box(b"mif1", b"mif1", b"heic"), HEIC),
        (box(b"hevc", b"msf1"), HEIC),
        (b"MM\0*\0\0\0\x08", TIFF),
        (b"II+\0\x08\0\0\0", TIFF),
        (b"\xff\xd8\xff\xdb", JPEG),
        (b"GIF87a", GIF),
        (b"RIFF\x10\0\0\0WEBPVP8 ", WEBP),
        (b"\x89PNG\r\n\x1a\n", PNG),
        (b"BM" + bytes(12) + b"\x7c\0\0\0", BMP),
    ],
)
def test_a_served_format_has_several_beginnings(head: bytes, kind: Format) -> None:
    assert sniff(head) is kind


SVG: Final = '<svg xmlns="http://www.w3.org/2000/svg"/>'


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\xff\x0a\xfa\x1f", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
        (b"\xff\x4f\xff\x51\0\x2f", "JPEG 2000"),
        (SVG.encode(), "SVG"),
        (b"\xef\xbb\xbf" + SVG.encode(), "SVG"),
        (b"\xff\xfe" + SVG.encode("utf-16-le"), "SVG"),
        (b"\xfe\xff" + SVG.encode("utf-16-be"), "SVG"),
        (f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- by > hand -->\n\n{SVG}'.encode(), "SVG"),
        (b'<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x.dtd">\n<svg/>', "SVG"),
        (b"<!-- <html> -->" * 200 + SVG.encode(), "SVG"),
        (b'  <svg:svg xmlns:svg="http://www.w3.org/2000/svg">', "SVG"),
        (b"%PDF-1.7\n%\xe2\xe3", "PDF"),
        (b"\n\n%PDF-1.4", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (box(b"isom", b"isom", b"mp41"), "video"),
        (box(b"qt  ", b"qt  "), "video"),
        (b"\0\0\0\x08wide\0\0\0\x10mdat", "video"),
        (b"\x1a\x45\xdf\xa3", "video"),
        (b"RIFF\0\0\0\0AVI LIST", "video"),
        (b"<!DOCTYPE html>\n<html lang=en>", "HTML"),
        (b"<HTML><body>502 Bad Gateway", "HTML"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "XML"),
        (b'{"image": {"b64": "AAAA"}}', "JSON"),
        (b" \n[1, 2, 3]", "JSON"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"PK\3\4\x14\0", "ZIP"),
        (b"8BPS\0\1", "PSD"),
        (b"\0\0\1\0\1\0\x10\x10", "ICO"),
        (b"II*\0\x10\0\0\0CR\2\0", "raw"),
        (box(b"crx ", b"crx ", b"isom"), "raw"),
        (b"FUJIFILMCCD-RAW 0201", "raw"),
        (b"P6\n16 16\n255\n", "PNM"),
        (b"\x93NUMPY\1\0", "NumPy"),
        (b"data:image/png;base64,iVBORw0KGgo", "data: URL"),
        (b"/9j/4AAQSkZJRgABAQAAAQABAAD", "base64"),
        (b"iVBORw0KGgoAAAANSUhEUg", "base64"),
        (b"https://example.org/cat.jpg", "address"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"),
        (b'--x\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n', "form"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI\x50\0\x20\2", "CgBI"),
        (bytes(128) + b"DICM", "DICOM"),
    ],
)
def test_a_known_format_that_is_not_served_is_named(head: bytes, name: str) -> None:
    found = sniff(head)
    assert found is not None
    assert not found.is_served
    error = refusal(head, found)
    assert isinstance(error, UnsupportedMediaType)
    assert name in str(error)
    assert "send" in str(error)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"", "it is empty"),
        (bytes(64), "zeros"),
        (b"hello, world\r\nhow are you", "the text 'hello, world how are you'"),
        (b"BMW is no bitmap", "the text 'BMW is no bitmap'"),
        (bytes(range(128, 160)), "the bytes 80 81 82 83 84 85 86 87 88 89 8a 8b"),
        (b"\xff\xd8", "the bytes ff d8"),
        (b"RIFF\0\0\0\0CDXA", "the bytes 52 49"),
    ],
)
def test_bytes_that_are_nothing_known_are_shown(head: bytes, words: str) -> None:
    assert sniff(head) is None
    error = refusal(head, None)
    assert isinstance(error, UndecodableImage)
    assert words in str(error)
    assert "JPEG, PNG" in str(error)


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_looked_at_without_an_error(head: bytes) -> None:
    found = sniff(head)
    if found is None or not found.is_served:
        assert len(str(refusal(head, found))) < 300


def test_no_more_than_the_beginning_is_looked_at() -> None:
    assert sniff(b" " * SNIFFED_BYTES + b"%PDF-1.7") is None
