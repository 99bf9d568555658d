"""What an image may cost is known from its first bytes: of every format, in no time, and none is far too cheap."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.testkit.image_files import bitmap, encode, exif
from topfive.images.decoding import USUAL_RULES, ImageLimits
from topfive.request.preparing.decoder import Decoder
from topfive.request.preparing.price import Price, price_of, raw_price

LIMITS: Final = ImageLimits(max_pixels=25_000_000, max_dimension=32_768, max_images=8)
SIDE: Final = 1500
KINDS: Final = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "AVIF", "TIFF", "HEIF"]


def price(body: bytes) -> Price:
    return price_of(body, LIMITS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_larger_an_image_the_dearer_in_every_format(kind: str) -> None:
    small, large = (price(encode(Image.new("RGB", size), kind)) for size in ((320, 240), (640, 480)))
    assert small.kind == large.kind
    assert 3 * small.seconds < large.seconds < 5 * small.seconds
    assert small.nbytes < large.nbytes


@pytest.mark.parametrize("kind", KINDS)
def test_the_size_is_that_of_the_file(kind: str) -> None:
    body = encode(Image.new("RGB", (640, 320)), kind)
    wide = ImageLimits(max_pixels=640 * 320, max_dimension=1, max_images=1)
    assert price_of(body, wide) == price(body)  # larger ones are priced as the largest that may come in
    assert price_of(body, ImageLimits(640 * 319, 1, 1)).seconds < price(body).seconds


@pytest.mark.parametrize(
    ("body", "is_dear"),
    [
        (encode(Image.new("RGB", (1280, 720)), "JPEG"), False),
        (encode(Image.new("RGB", (4000, 3000)), "JPEG"), True),
        (encode(Image.new("RGB", (500, 375)), "PNG"), False),
        (encode(Image.new("RGB", (5000, 5000)), "WEBP", lossless=True), True),
        (encode(Image.new("RGB", (8, 8)), "GIF"), True),  # a frame may be larger than its canvas
        (encode(Image.new("RGB", (8, 8)), "AVIF"), True),  # its pictures larger than it says
        (bitmap(b"", (600, 600), 8, compression=1), True),  # Pillow reads runs in Python
        (bitmap(b"", (600, 600), 8), False),
    ],
    ids=["small JPEG", "large JPEG", "small PNG", "lossless WebP", "GIF", "AVIF", "run-length BMP", "BMP"],
)
def test_what_is_dear_is_decoded_apart(body: bytes, is_dear: bool) -> None:
    assert price(body).is_dear is is_dear


def test_a_jpeg_that_is_decoded_smaller_is_cheaper_in_time_and_memory(decoder: Decoder) -> None:
    """Twelve megapixels then are decoded beside the small images; a dear one is decoded smaller in its process too."""
    body = encode(Image.new("RGB", (4000, 3000)), "JPEG")
    whole, small = price(body), price_of(body, LIMITS, short_side=512)
    assert (whole.is_dear, small.is_dear) == (True, False)
    assert small.seconds < whole.seconds / 4
    assert small.nbytes < whole.nbytes / 10
    assert decoder.decode(body, short_side=512).shape == (1, 750, 1000, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_bytes_tell_what_was_sent(kind: str) -> None:
    found = price(encode(Image.new("RGB", (40, 30)), kind))
    assert found.form == {"HEIF": "heic"}.get(kind, kind.lower())
    assert found.pixels == (1200 if kind == "JPEG" else 0)


def test_raw_pixels_have_only_to_be_resized() -> None:
    assert not raw_price(1_000_000).is_dear
    assert raw_price(12_000_000).is_dear


def test_a_head_that_does_not_end_soon_is_taken_for_the_largest() -> None:
    """XMP of megabytes may come before the frame header; nothing here may look for it that far."""
    body = encode(Image.new("RGB", (8, 8)), "JPEG")
    filled = body[:2] + (b"\xff\xe1\xff\xff" + bytes(65_533)) * 5 + body[2:]
    assert price(filled).seconds > price(encode(Image.new("RGB", (4800, 4800)), "JPEG", progressive=True)).seconds


@pytest.mark.parametrize("body", [b"", b"%PDF-1.7", b"\xff\xd8\xff\xe0\0\x10JFIF"])
def test_what_is_no_image_costs_nothing(body: bytes) -> None:
    assert price(body) == Price("none", 0.0, 0, is_dear=False)


@given(
    kind=st.sampled_from([encode(Image.new("RGB", (40, 30)), kind) for kind in KINDS]),
    at=st.integers(0, 200),
    junk=st.binary(max_size=40),
)
def test_whatever_comes_has_a_price(kind: bytes, at: int, junk: bytes) -> None:
    found = price(kind[:at] + junk + kind[at + len(junk) :])
    assert 0 <= found.seconds < 60
    assert 0 <= found.nbytes < 1 << 30


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    decoder = Decoder(LIMITS, USUAL_RULES, seconds=60)
    yield decoder
    decoder.close()


def peak_bytes(decoder: Decoder, body: bytes) -> int:
    """What decoding `body` takes at most, beside the process itself."""
    assert decoder._process is not None
    folder = f"/proc/{decoder._process.pid}"
    with open(f"{folder}/clear_refs", "w") as reset:  # noqa: PTH123
        reset.write("5")
    before, _ = resident(folder)
    decoder.decode(body)
    return resident(folder)[1] - before


def resident(folder: str) -> tuple[int, int]:
    """Resident bytes now, and at most since they were reset; files in memory are not among them."""
    with open(f"{folder}/status") as status:  # noqa: PTH123
        fields = dict(line.split(":", 1) for line in status)
    return tuple(int(fields[name].split()[0]) << 10 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]


def noisy(mode: str) -> Image.Image:
    return Image.frombytes(mode, (SIDE, SIDE), np.random.default_rng(0).bytes(SIDE * SIDE * len(mode)))


@pytest.mark.parametrize(
    ("kind", "image", "options"),
    [
        ("JPEG", noisy("RGB"), {"exif": exif(6)}),
        ("JPEG", noisy("RGB"), {"progressive": True, "subsampling": 0, "exif": exif(6)}),
        ("JPEG", noisy("CMYK"), {"exif": exif(6)}),
        ("PNG", noisy("RGBA"), {"exif": exif(6), "compress_level": 0}),
        ("PNG", Image.fromarray(np.zeros((SIDE, SIDE), np.uint16)), {}),
        ("WEBP", Image.new("RGBA", (SIDE, SIDE), (9, 9, 9, 99)), {"lossless": True, "exif": exif(6)}),
        ("GIF", Image.new("P", (SIDE, SIDE)), {}),
        ("BMP", noisy("RGBA"), {}),
        ("AVIF", Image.new("RGBA", (SIDE, SIDE), (9, 9, 9, 99)), {"speed": 10, "exif": exif(6)}),
        ("TIFF", noisy("RGBA"), {"compression": "tiff_adobe_deflate"}),
        ("HEIF", Image.new("RGB", (SIDE, SIDE)), {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_peak_of_memory_is_what_is_documented(
    decoder: Decoder, kind: str, image: Image.Image, options: dict[str, Any]
) -> None:
    decoder.decode(encode(Image.new("RGB", (8, 8)), kind))  # what is loaded once
    body = encode(image, kind, **options)
    assert peak_bytes(decoder, body) <= price(body).nbytes
