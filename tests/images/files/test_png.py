"""PNG files whose chunks are missing, cut short, damaged, or too many."""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.testkit.image_files import Pixels, chunk, encode, png
from topfive.ground.errors import UndecodableImage
from topfive.images.decoding import decode
from topfive.images.files.limits import ImageLimits

LIMITS: Final = ImageLimits(max_pixels=1_000_000, max_dimension=2_000, max_images=8)
PHOTO: Final[Pixels] = data.astronaut()[:60, :80]
FILE: Final = png(PHOTO, 2)
END: Final = chunk(b"IEND", b"")


def pixels(body: bytes) -> Pixels:
    image: Pixels = decode(body, LIMITS)[0]
    return image


@pytest.mark.parametrize("missing", [1, 4, 8, 12, 13, 16])
def test_without_its_end_but_with_all_its_pixels_it_is_whole(missing: int) -> None:
    """The end chunk has twelve bytes; before it stands the checksum of the pixels, whose compression has its own."""
    assert np.array_equal(pixels(FILE[:-missing]), PHOTO)


@pytest.mark.parametrize("missing", [24, 100, 1000, len(FILE) // 2])
def test_where_pixels_are_missing_it_is_refused(missing: int) -> None:
    for end in (b"", END):
        with pytest.raises(UndecodableImage):
            pixels(FILE[:-missing] + end)


def test_pixels_in_many_chunks() -> None:
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in PHOTO))
    parts = b"".join(chunk(b"IDAT", rows[at : at + 100]) for at in range(0, len(rows), 100))
    head = FILE[:33]
    assert np.array_equal(pixels(head + parts + END), PHOTO)
    assert np.array_equal(pixels(head + parts), PHOTO)
    with pytest.raises(UndecodableImage):
        pixels(head + parts[112:] + END)
    with pytest.raises(UndecodableImage):
        pixels(head + parts[: -2 * 112] + END)


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_a_wrong_checksum_of_a_chunk_that_counts_is_refused(kind: bytes) -> None:
    at = FILE.index(kind)
    length = int.from_bytes(FILE[at - 4 : at], "big")
    body = bytearray(FILE)
    body[at + 4 + length] ^= 1
    with pytest.raises(UndecodableImage, match=f"checksum of its {kind.decode()}"):
        pixels(bytes(body))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"tEXt", b"Comment\0a kitten")[:-4] + b"xxxx",
        chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1\x01\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0")[:-4] + b"xxxx",
        chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"zTXt", b"a\0\0garbage"),
        chunk(b"iCCP", b"no zero, no profile" * 9),
        chunk(b"gAMA", b"\0"),
        chunk(b"fdAT", b""),
    ],
    ids=["checksum of a text", "checksum of EXIF", "3 MB of text", "bad text", "bad profile", "bad gamma", "bad frame"],
)
def test_what_has_nothing_to_do_with_the_pixels_is_passed_over(extra: bytes) -> None:
    assert np.array_equal(pixels(png(PHOTO, 2, extra)), PHOTO)


def test_an_unknown_chunk_that_must_be_understood_is_refused() -> None:
    with pytest.raises(UndecodableImage, match="not known"):
        pixels(png(PHOTO, 2, chunk(b"ABCD", b"")))


def test_chunks_without_end_are_refused_soon() -> None:
    with pytest.raises(UndecodableImage, match="more than 100000 chunks"):
        pixels(FILE[:33] + chunk(b"tEXt", b"") * 200_000)


@pytest.mark.parametrize("body", [FILE[:8], FILE[:20], FILE[:33], FILE[:8] + FILE[33:], FILE[:8] + END])
def test_without_a_header_or_pixels_it_is_refused(body: bytes) -> None:
    with pytest.raises(UndecodableImage):
        pixels(body)


def test_interlaced_and_palette_files_pass_through() -> None:
    picture = Image.fromarray(PHOTO).quantize(16)
    assert np.array_equal(pixels(encode(picture, "PNG", bits=4)), np.asarray(picture.convert("RGB")))
