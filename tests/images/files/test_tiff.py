"""TIFF files: the many kinds of pixels, the first page, damage, and directories that announce too much."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any, Final

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms
from skimage import data

from tests.testkit.image_files import Pixels, encode
from topfive.ground.errors import TooLarge, TopfiveError, UndecodableImage, UnsupportedMediaType
from topfive.images.decoding import decode
from topfive.images.files.limits import ImageLimits

LIMITS: Final = ImageLimits(max_pixels=1_000_000, max_dimension=2_000, max_images=8)
PHOTO: Final[Pixels] = data.astronaut()[:120, :160]
_random = np.random.default_rng(11)
GREY: Final = _random.integers(0, 1 << 16, (40, 50), np.uint16)
WIDE: Final = _random.integers(0, 1 << 16, (40, 50, 3), np.uint16)
HIGH: Final = (GREY >> 8).astype(np.uint8)


def tiff(samples: NDArray[Any], **options: Any) -> bytes:
    """The file that tifffile writes."""
    stream = io.BytesIO()
    tifffile.imwrite(stream, samples, **options)
    return stream.getvalue()


def pixels(body: bytes) -> Pixels:
    image: Pixels = decode(body, LIMITS)[0]
    return image


def as_rgb(grey: NDArray[Any]) -> NDArray[Any]:
    return np.stack([grey] * 3, axis=-1)


KINDS: Final[dict[str, tuple[bytes, NDArray[Any]]]] = {
    "RGB": (tiff(PHOTO, photometric="rgb"), PHOTO),
    "big endian": (tiff(PHOTO, photometric="rgb", byteorder=">"), PHOTO),
    "BigTIFF": (tiff(PHOTO, photometric="rgb", bigtiff=True), PHOTO),
    "strips": (tiff(PHOTO, photometric="rgb", rowsperstrip=7), PHOTO),
    "tiles": (tiff(PHOTO, photometric="rgb", tile=(64, 48)), PHOTO),
    "deflated strips": (tiff(PHOTO, photometric="rgb", rowsperstrip=7, compression="zlib"), PHOTO),
    "deflated tiles": (tiff(PHOTO, photometric="rgb", tile=(64, 48), compression="zlib"), PHOTO),
    "predictor": (tiff(PHOTO, photometric="rgb", compression="zlib", predictor=True), PHOTO),
    "planes": (tiff(np.moveaxis(PHOTO, -1, 0).copy(), photometric="rgb", planarconfig="separate"), PHOTO),
    "two pages": (tiff(np.stack([PHOTO, 255 - PHOTO]), photometric="rgb"), PHOTO),
    "a page and a thumbnail": (encode(PHOTO, "TIFF", save_all=True, append_images=[Image.new("L", (4, 4))]), PHOTO),
    "LZW": (encode(PHOTO, "TIFF", compression="tiff_lzw"), PHOTO),
    "PackBits": (encode(PHOTO, "TIFF", compression="packbits"), PHOTO),
    "Zstandard": (encode(PHOTO, "TIFF", compression="zstd"), PHOTO),
    "grey": (tiff(HIGH, photometric="minisblack"), as_rgb(HIGH)),
    "grey, zero is white": (tiff(HIGH, photometric="miniswhite"), as_rgb(255 - HIGH)),
    "16-bit grey": (tiff(GREY, photometric="minisblack"), as_rgb(HIGH)),
    "16-bit grey, big endian": (tiff(GREY, photometric="minisblack", byteorder=">"), as_rgb(HIGH)),
    "16-bit grey, zero is white": (tiff(GREY, photometric="miniswhite"), as_rgb(255 - HIGH)),
    "16-bit grey, deflated": (tiff(GREY, photometric="minisblack", compression="zlib"), as_rgb(HIGH)),
    "16-bit RGB": (tiff(WIDE, photometric="rgb"), WIDE >> 8),
    "transparent": (encode(np.dstack([PHOTO, np.zeros(PHOTO.shape[:2], np.uint8)]), "TIFF"), np.full_like(PHOTO, 255)),
    "palette": (
        encode(Image.fromarray(PHOTO).quantize(64), "TIFF"),
        np.asarray(Image.fromarray(PHOTO).quantize(64).convert("RGB")),
    ),
    "one bit, fax": (
        encode(Image.fromarray(PHOTO).convert("1"), "TIFF", compression="group4"),
        np.asarray(Image.fromarray(PHOTO).convert("1").convert("RGB")),
    ),
    "CMYK": (
        encode(Image.fromarray(PHOTO).convert("CMYK"), "TIFF"),
        np.asarray(Image.fromarray(PHOTO).convert("CMYK").convert("RGB")),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_page_becomes_rgb_exactly(kind: str) -> None:
    body, expected = KINDS[kind]
    assert np.array_equal(pixels(body), expected)


FOUR: Final = _random.integers(0, 1 << 16, (40, 50, 4), np.uint16)
BYTES: Final = (FOUR >> 8).astype(np.uint8)
SHARE: Final = BYTES[..., 3:] / 255
INK: Final = (255 - BYTES[..., :3].astype(float)) * (1 - SHARE)
DIMMED: Final = np.dstack([(BYTES[..., :3] * SHARE).astype(np.uint8), BYTES[..., 3]])


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (tiff(FOUR, photometric="rgb", extrasamples=["unassalpha"]), BYTES[..., :3] * SHARE + 255 * (1 - SHARE)),
        (tiff(BYTES, photometric="rgb", extrasamples=["unassalpha"]), BYTES[..., :3] * SHARE + 255 * (1 - SHARE)),
        (tiff(DIMMED, photometric="rgb", extrasamples=["assocalpha"]), DIMMED[..., :3] + 255 * (1 - SHARE)),
        (tiff(BYTES, photometric="rgb", extrasamples=["unspecified"]), BYTES[..., :3]),
        (tiff(FOUR, photometric="separated"), INK),
        (tiff(BYTES, photometric="separated"), INK),
    ],
    ids=["16-bit RGBA", "RGBA", "colours times alpha", "a channel of no meaning", "16-bit CMYK", "CMYK"],
)
def test_four_samples_become_rgb(body: bytes, expected: NDArray[Any]) -> None:
    assert np.abs(pixels(body) - expected.astype(float)).max() <= 2


def test_cielab_and_jpeg_come_out_nearly_as_they_went_in() -> None:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    stored = ImageCms.profileToProfile(Image.fromarray(PHOTO), srgb, lab, outputMode="LAB")
    assert stored is not None
    for body in (encode(stored, "TIFF"), encode(PHOTO, "TIFF", compression="jpeg", quality=95)):
        assert np.abs(pixels(body).astype(int) - PHOTO).mean() < 3


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "pages" not in kind and "thumbnail" not in kind])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.filterwarnings(r"ignore:Truncated File:UserWarning:PIL\.")  # Pillow says so, and then raises
def test_where_data_are_missing_it_is_refused(kind: str, share: float) -> None:
    body, expected = KINDS[kind]
    try:
        image = pixels(body[: int(len(body) * share)])
    except UndecodableImage:
        return
    assert np.array_equal(image, expected), "pixels were made up"


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "zstd", "jpeg"])
def test_damage_in_its_strips_is_refused(compression: str) -> None:
    body = bytearray(encode(PHOTO, "TIFF", compression=compression))
    with Image.open(io.BytesIO(bytes(body))) as image:
        offset, length = image.tag_v2[273][0], image.tag_v2[279][0]  # type: ignore[attr-defined]
    assert pixels(bytes(body)).shape == PHOTO.shape
    middle = offset + length // 2
    body[middle : offset + length] = bytes(offset + length - middle)
    with pytest.raises(UndecodableImage):
        pixels(bytes(body))


def directory(*entries: tuple[int, int, int, int], after: bytes = b"", order: str = "<") -> bytes:
    """A TIFF file of entries (tag, type, count, value) and what follows them."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    table = b"".join(struct.pack(f"{order}HHII", *entry) for entry in entries)
    return head + struct.pack(f"{order}H", len(entries)) + table + bytes(4) + after


SIZE: Final = ((256, 4, 1, 40), (257, 4, 1, 40))
EIGHT: Final = ((258, 3, 1, 8), (262, 3, 1, 1), (277, 3, 1, 1))


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        (tiff(PHOTO.astype(np.float32) / 255, photometric="rgb"), UndecodableImage, "floating-point"),
        (tiff(GREY.astype(np.float32)), UndecodableImage, "floating-point"),
        (tiff(GREY.astype(np.int16)), UndecodableImage, "signed"),
        (tiff(GREY.astype(np.uint32)), UndecodableImage, "more than 16 bits"),
        (
            tiff(np.moveaxis(WIDE, -1, 0).copy(), photometric="rgb", planarconfig="separate"),
            UndecodableImage,
            "separate planes",
        ),
        (directory(*SIZE, *EIGHT, (259, 3, 1, 6)), UndecodableImage, "old style"),
        (directory(*SIZE, (0xC612, 1, 4, 0x401)), UnsupportedMediaType, "raw file"),
        (directory((254, 4, 1, 1), *SIZE, (330, 4, 2, 100)), UnsupportedMediaType, "raw file"),
        (directory(*SIZE, (262, 3, 1, 32803)), UnsupportedMediaType, "raw file"),
        (directory(*EIGHT), UndecodableImage, "does not state its size"),
        (directory((256, 4, 1, 0), (257, 4, 1, 9)), UndecodableImage, "does not state its size"),
        (directory((256, 4, 1, 1999), (257, 4, 1, 1999)), TooLarge, "3996001 pixels"),
        (directory((256, 4, 1, 2001), (257, 4, 1, 1)), TooLarge, "2001"),
        (directory(*SIZE, (322, 4, 1, 60_000), (323, 4, 1, 60_000), (324, 4, 1, 8)), TooLarge, "60000"),
        (directory(*SIZE, *EIGHT, (273, 4, 70_000, 8)), UndecodableImage, "70000 strips or tiles"),
        (directory(*SIZE, *EIGHT, (273, 4, 4_000_000_000, 8)), UndecodableImage, "tags hold"),
        (directory(*SIZE, *EIGHT, (700, 1, 1 << 31, 8)), UndecodableImage, "tags hold"),
        (directory(*[(1, 3, 1, 1)] * 600), UndecodableImage, "600 entries"),
        (b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + struct.pack("<Q", 1 << 40), UndecodableImage, "entries"),
        (b"II*\0\xff\xff\xff\x7f", UndecodableImage, "directory is not all there"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, UndecodableImage, "directory is not all there"),
        (directory(*SIZE)[:30], UndecodableImage, "directory is not all there"),
        (directory(*SIZE, (258, 3, 3, 0xFFFFFFF0)), UndecodableImage, "directory is not all there"),
        (b"II*\0", UndecodableImage, "directory is not all there"),
    ],
)
def test_what_is_not_decoded_is_refused_by_what_it_is(body: bytes, error: type[TopfiveError], words: str) -> None:
    with pytest.raises(error, match=words):
        pixels(body)


def test_grey_of_twelve_bits_keeps_the_highest_eight() -> None:
    samples = np.arange(0, 4096, 41)[:100].reshape(10, 10)
    packed = int("".join(format(value, "012b") for value in samples.ravel()), 2).to_bytes(150, "big")
    head = directory(
        *((256, 4, 1, 10), (257, 4, 1, 10), (258, 3, 1, 12), (259, 3, 1, 1), (262, 3, 1, 1)),
        *((273, 4, 1, 200), (277, 3, 1, 1), (278, 4, 1, 10), (279, 4, 1, 150)),
    )
    assert np.array_equal(pixels(head.ljust(200, b"\0") + packed), as_rgb(samples >> 4))


def test_strips_that_lie_over_each_other_cost_no_more_than_an_image() -> None:
    """Thousands of entries may name the same deflated megabytes."""
    packed = zlib.compress(bytes(4 << 20))
    count = 30_000
    at = 8 + 2 + 9 * 12 + 4
    body = directory(
        *SIZE,
        *EIGHT,
        (259, 3, 1, 8),
        (273, 4, count, at),
        (278, 4, 1, 1),
        (279, 4, count, at + 4 * count),
        after=struct.pack("<I", at + 8 * count) * count + struct.pack("<I", len(packed)) * count + packed,
    )
    assert pixels(body).shape == (40, 40, 3)
