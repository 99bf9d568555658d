"""Colours of other profiles become sRGB: against littleCMS called directly, and against colours worked out by hand."""

from __future__ import annotations

import io
import threading
import zlib
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from tests.testkit.image_files import (
    SRGB_PRIMARIES,
    Pixels,
    chunk,
    encode,
    grey_profile,
    ink_profile,
    png,
    rgb_profile,
)
from topfive.images.decoding import decode
from topfive.images.files.colour import MAX_PROFILE_BYTES, ColourProfiles
from topfive.images.files.limits import DecodingRules, ImageLimits

LIMITS: Final = ImageLimits(max_pixels=1_000_000, max_dimension=2_000, max_images=8)
AS_STORED: Final = DecodingRules(convert_colour_profiles=False)
PHOTO: Final[Pixels] = data.astronaut()[:120, :160]
P3: Final = rgb_profile()
SRGB: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GREY: Final[Pixels] = np.tile(np.arange(256, dtype=np.uint8), (4, 1))


def pixels(body: bytes, *rules: DecodingRules) -> Pixels:
    image: Pixels = decode(body, LIMITS, *rules)[0]
    return image


def converted(stored: Pixels, profile: bytes) -> Pixels:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    result = ImageCms.profileToProfile(
        Image.fromarray(stored), source, ImageCms.createProfile("sRGB"), outputMode="RGB"
    )
    assert result is not None
    return np.asarray(result)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("JPEG", {"quality": 95}),
        ("JPEG", {"quality": 95, "progressive": True}),
        ("AVIF", {"quality": 90}),
    ],
)
def test_a_profile_other_than_srgb_is_converted_by_littlecms_unless_switched_off(
    kind: str, options: dict[str, Any]
) -> None:
    plain = pixels(encode(PHOTO, kind, **options))
    body = encode(PHOTO, kind, icc_profile=P3, **options)
    expected = converted(plain, P3)
    assert np.abs(expected.astype(int) - plain).max() > 20
    assert np.array_equal(pixels(body), expected)
    assert np.array_equal(pixels(body, AS_STORED), plain)


def test_the_red_of_srgb_in_display_p3_comes_out_as_that_red() -> None:
    """(255, 0, 0) has the values (234, 51, 35) in Display P3 with sRGB's curve, and nearly so with a gamma of 2.2."""
    red = np.full((4, 4, 3), (234, 51, 35), np.uint8)
    image = pixels(encode(red, "PNG", icc_profile=P3))
    assert np.abs(image.astype(int) - (255, 0, 0)).max() <= 12


@pytest.mark.parametrize(
    "profile",
    [
        SRGB,
        b"",
        b"no profile at all" * 20,
        P3[:100],
        P3[:160] + b"\xff" * 200,
        grey_profile(1.0),
        ink_profile(50),
        P3[:12] + b"link" + P3[16:],
    ],
    ids=["sRGB", "empty", "text", "cut", "damaged", "of grey", "of inks", "of another class"],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_profile_that_is_srgb_damaged_or_of_another_space_changes_nothing(profile: bytes, kind: str) -> None:
    assert np.array_equal(pixels(encode(PHOTO, kind, icc_profile=profile)), pixels(encode(PHOTO, kind)))


def test_a_profile_that_does_what_srgb_does_is_srgb_whatever_it_is_called() -> None:
    """Its colours are compared, not its name or its bytes: images keep their exact values then."""
    ours, copy = ColourProfiles(), bytearray(SRGB)
    copy[4:8] = b"else"
    assert not ours.changes(bytes(copy), "RGB")
    assert ours.changes(rgb_profile(*SRGB_PRIMARIES, gamma=1.8), "RGB")
    assert ours.changes(P3, "RGB")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_grey_is_converted_by_a_profile_of_grey(kind: str) -> None:
    """A gamma of 1: 50 % of light is 188 in sRGB."""
    image = pixels(encode(GREY, kind, icc_profile=grey_profile(1.0), **({"quality": 100} if kind == "JPEG" else {})))
    assert (np.ptp(image, axis=-1) == 0).all()
    assert np.abs(image[0, [0, 128, 255], 0].astype(int) - (0, 188, 255)).max() <= 2


def test_grey_with_alpha_is_converted_and_then_stands_on_white() -> None:
    body = encode(np.stack([GREY, GREY[:, ::-1]], axis=-1), "PNG", icc_profile=grey_profile(1.0))
    image = pixels(body)[0, :, 0].astype(int)
    light = pixels(encode(GREY, "PNG", icc_profile=grey_profile(1.0)))[0, :, 0] / 255
    alpha = np.arange(255, -1, -1) / 255
    assert np.abs(image - 255 * (light * alpha + 1 - alpha)).max() <= 1


@pytest.mark.parametrize(("kind", "options"), [("JPEG", {"quality": 100}), ("TIFF", {})])
def test_ink_is_converted_by_a_profile_of_inks(kind: str, options: dict[str, int]) -> None:
    """The cyan of this profile is a grey of L* 50, which is 119 in sRGB; without a profile it is cyan."""
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    image = pixels(encode(cyan, kind, icc_profile=ink_profile(50), **options))
    assert np.abs(image.astype(int) - 119).max() <= 2
    stored = pixels(encode(cyan, kind, icc_profile=ink_profile(50), **options), AS_STORED)
    assert np.abs(stored.astype(int) - (0, 255, 255)).max() <= 2


def test_alpha_stays_what_it_was() -> None:
    alpha = np.linspace(0, 255, PHOTO[..., 0].size).astype(np.uint8).reshape(PHOTO.shape[:2])
    image = pixels(encode(np.dstack([PHOTO, alpha]), "PNG", icc_profile=P3))
    share = alpha[..., None] / 255
    assert np.abs(image - (converted(PHOTO, P3) * share + 255 * (1 - share))).max() <= 1


@pytest.mark.parametrize("mode", ["P", "palette and transparency"])
def test_a_palette_is_converted_as_its_colours(mode: str) -> None:
    palette = Image.fromarray(PHOTO).quantize(32)
    options = {} if mode == "P" else {"transparency": 0}
    stored = pixels(encode(palette, "PNG", **options))
    shown = np.ones(PHOTO.shape[:2], bool) if mode == "P" else np.asarray(palette) != 0
    image = pixels(encode(palette, "PNG", icc_profile=P3, **options))
    assert np.array_equal(image[shown], converted(stored, P3)[shown])
    assert (image[~shown] == 255).all()


def test_a_compressed_profile_is_read_up_to_the_bound() -> None:
    """A PNG's is deflated: 8 MB of zeros take 8 kB."""
    for content in (zlib.compress(P3 + bytes(8 << 20)), zlib.compress(P3)[:-9], b"\x78\x9cno"):
        body = png(PHOTO, 2, chunk(b"iCCP", b"x\0\0" + content))
        assert np.array_equal(pixels(body), PHOTO)
    assert np.array_equal(pixels(png(PHOTO, 2, chunk(b"iCCP", b"x\0\0" + zlib.compress(P3)))), converted(PHOTO, P3))


def test_a_huge_profile_counts_as_none() -> None:
    body = encode(PHOTO, "TIFF", icc_profile=P3 + bytes(MAX_PROFILE_BYTES))
    assert np.array_equal(pixels(body), PHOTO)


def test_few_conversions_are_kept_those_used_last() -> None:
    ours = ColourProfiles(kept=3)
    profiles = [rgb_profile(gamma=1 + number / 10) for number in range(5)]
    image = Image.fromarray(PHOTO)
    for profile in profiles:
        ours.to_srgb(image.copy(), profile)
        ours.to_srgb(image.copy(), profiles[0])
    assert len(ours) == 3


def test_threads_may_convert_at_the_same_time() -> None:
    ours = ColourProfiles(kept=2)
    profiles = [rgb_profile(gamma=1.6 + number / 10) for number in range(4)]
    expected = [converted(PHOTO, profile) for profile in profiles]
    wrong: list[int] = []

    def convert(start: int) -> None:
        for number in range(start, start + 12):
            image = ours.to_srgb(Image.fromarray(PHOTO), profiles[number % 4])
            if not np.array_equal(np.asarray(image), expected[number % 4]):
                wrong.append(number)

    threads = [threading.Thread(target=convert, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
