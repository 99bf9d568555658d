"""JPEG files: which are whole, which are damaged, and which are of kinds that are not decoded."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
import pytest
from PIL import Image
from skimage import data

from tests.testkit.image_files import Pixels, encode, exif
from topfive.ground.errors import TooLarge, UndecodableImage
from topfive.images.decoding import decode
from topfive.images.files.limits import DecodingRules, ImageLimits

LIMITS: Final = ImageLimits(max_pixels=1_000_000, max_dimension=2_000, max_images=8)
LENIENT: Final = DecodingRules(allow_damaged_images=True)
PHOTO: Final[Pixels] = data.astronaut()[:200, :304]
EOI: Final = b"\xff\xd9"
INK: Final = Image.fromarray(PHOTO).convert("CMYK")

KINDS: Final = {
    "baseline": encode(PHOTO, "JPEG", quality=90),
    "4:4:4": encode(PHOTO, "JPEG", quality=90, subsampling=0),
    "4:1:1": encode(PHOTO, "JPEG", quality=90, subsampling="4:1:1"),
    "progressive": encode(PHOTO, "JPEG", quality=90, progressive=True),
    "grey": encode(PHOTO[..., 0], "JPEG", quality=90),
    "progressive grey": encode(PHOTO[..., 0], "JPEG", quality=90, progressive=True),
    "RGB": encode(PHOTO, "JPEG", quality=90, keep_rgb=True),
    "CMYK": encode(INK, "JPEG", quality=90),
    "CMYK, odd sampling": encode(INK, "JPEG", quality=90, subsampling="4:1:1"),
    "with restarts": encode(PHOTO, "JPEG", quality=90, restart_marker_rows=1),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def pixels(body: bytes, rules: DecodingRules | None = None) -> Pixels:
    image: Pixels = decode(body, LIMITS, *([] if rules is None else [rules]))[0]
    return image


def by_pillow(body: bytes) -> Pixels:
    with Image.open(io.BytesIO(body)) as image:
        return np.asarray(image.convert("RGB"))


def cut(body: bytes, share: float) -> bytes:
    """`body` with that share of its data, from its first scan on."""
    start = body.index(b"\xff\xda")
    return body[: start + int((len(body) - start) * share)]


def scans(body: bytes) -> list[int]:
    return [at for at in range(len(body) - 1) if body[at : at + 2] == b"\xff\xda"]


@every_kind
def test_the_pixels_are_those_of_pillow(kind: str) -> None:
    assert np.array_equal(pixels(KINDS[kind]), by_pillow(KINDS[kind]))


@pytest.mark.parametrize(
    ("short_side", "divisor"), [(0, 1), (101, 1), (100, 2), (51, 2), (50, 4), (26, 4), (25, 8), (1, 8)]
)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "CMYK, odd sampling"])
def test_a_jpeg_may_be_decoded_smaller_but_not_too_small(kind: str, short_side: int, divisor: int) -> None:
    """Each pixel is about the mean of those that it stands for; no side is rounded away."""
    whole = pixels(KINDS[kind]).astype(int)
    small = decode(KINDS[kind], LIMITS, short_side=short_side)[0]
    assert small.shape == (200 // divisor, 304 // divisor, 3)
    means = whole.reshape(200 // divisor, divisor, 304 // divisor, divisor, 3).mean((1, 3))
    assert np.abs(small - means).mean() <= (0 if divisor == 1 else 3)


def test_a_smaller_jpeg_is_turned_checked_and_bounded_as_a_whole_one() -> None:
    turned = encode(PHOTO, "JPEG", quality=90, exif=exif(6))
    assert decode(turned, LIMITS, short_side=100).shape == (1, 152, 100, 3)
    with pytest.raises(UndecodableImage):
        decode(cut(turned, 0.5) + EOI, LIMITS, short_side=25)
    with pytest.raises(TooLarge):
        decode(turned, ImageLimits(max_pixels=200 * 304 - 1, max_dimension=2_000, max_images=1), short_side=25)


@every_kind
@pytest.mark.parametrize("rules", [None, LENIENT], ids=["strict", "lenient"])
def test_without_its_end_marker_but_with_all_its_data_it_is_whole(kind: str, rules: DecodingRules | None) -> None:
    if kind == "CMYK, odd sampling":
        rules = None
    assert np.array_equal(pixels(KINDS[kind].removesuffix(EOI), rules), by_pillow(KINDS[kind]))


@every_kind
@pytest.mark.parametrize("end", [b"", EOI], ids=["no end", "an end marker after the cut"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.95])
def test_where_data_are_missing_it_is_refused(kind: str, end: bytes, share: float) -> None:
    with pytest.raises(UndecodableImage, match=r"damaged or cut short.*send the whole file"):
        pixels(cut(KINDS[kind], share) + end)


@pytest.mark.parametrize("kind", ["baseline", "progressive", "grey", "CMYK"])
def test_where_data_are_missing_the_setting_has_it_answered_as_far_as_it_goes(kind: str) -> None:
    image = pixels(cut(KINDS[kind], 0.6) + EOI, LENIENT)
    expected = by_pillow(KINDS[kind])
    assert image.shape == expected.shape
    if kind == "baseline":
        assert np.array_equal(image[:64], expected[:64])


@pytest.mark.parametrize("kind", ["progressive", "progressive grey"])
def test_a_progressive_file_that_ends_between_two_scans_is_refused(kind: str) -> None:
    """Every scan in it is whole, and libjpeg has nothing to warn of: the picture is only coarse."""
    body = KINDS[kind]
    assert len(scans(body)) > 5
    for at in scans(body)[1:]:
        for end in (b"", EOI):
            with pytest.raises(UndecodableImage, match="scans are missing"):
                pixels(body[:at] + end)
        assert pixels(body[:at] + EOI, LENIENT).shape == (*PHOTO.shape[:2], 3)


def spoilt(body: bytes, share: float, count: int) -> bytes:
    at = len(cut(body, share))
    return body[:at] + bytes((value * 7 + 3) % 240 for value in body[at : at + count]) + body[at + count :]


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_damage_in_the_middle_that_libjpeg_notices_is_refused_unless_allowed(share: float) -> None:
    body = spoilt(KINDS["4:4:4"], share, 300)
    with pytest.raises(UndecodableImage, match=r"Corrupt JPEG data.*allow_damaged_images"):
        pixels(body)
    assert pixels(body, LENIENT).shape == PHOTO.shape


def test_a_lost_restart_interval_is_refused() -> None:
    body = KINDS["with restarts"]
    at = body.index(b"\xff\xd3")
    following = body.index(b"\xff\xd4")
    with pytest.raises(UndecodableImage, match="Corrupt JPEG data"):
        pixels(body[:at] + body[following:])


@pytest.mark.parametrize("kind", ["baseline", "progressive", "CMYK", "CMYK, odd sampling"])
@pytest.mark.parametrize(
    "change",
    [
        lambda body: body + b"trailing bytes, as some cameras have them" * 9,
        lambda body: body + body,
        lambda body: body.removesuffix(EOI) + bytes(24) + EOI,
        lambda body: body.removesuffix(EOI) + b"\xff" * 24 + EOI,
        lambda body: body[:2] + b"\xff" * 9 + body[2:],
        lambda body: body[:2] + b"\xff\xfe\0\6abcd" * 40 + body[2:],
    ],
    ids=["more after it", "another after it", "zeros before the end", "fill bytes", "fill at the start", "comments"],
)
def test_what_does_no_harm_to_the_pixels_is_passed_over(kind: str, change: Any) -> None:
    assert np.array_equal(pixels(change(KINDS[kind])), by_pillow(KINDS[kind]))


@pytest.mark.parametrize(
    ("after", "offset", "replacement"),
    [
        (b"JFIF\0", 5, b"\2"),  # a revision that libjpeg does not know
        (b"\xff\xda", 11, b"\0\0\0"),  # which coefficients a scan has, as some cameras have it
    ],
)
def test_what_libjpeg_only_complains_of_is_mended(after: bytes, offset: int, replacement: bytes) -> None:
    body = KINDS["baseline"]
    at = body.index(after) + offset
    odd = body[:at] + replacement + body[at + len(replacement) :]
    assert np.array_equal(pixels(odd), by_pillow(body))
    with pytest.raises(UndecodableImage):
        pixels(cut(odd, 0.5) + EOI)


def test_bytes_between_the_markers_of_the_head_are_passed_over() -> None:
    body = KINDS["baseline"]
    at = body.index(b"\xff\xdb")
    assert np.array_equal(pixels(body[:at] + b"\0\0junk" + body[at:]), by_pillow(body))


@pytest.mark.parametrize(
    ("marker", "name"),
    [
        (0xC3, "lossless"),
        (0xC5, "hierarchical"),
        (0xC7, "lossless"),
        (0xC9, "arithmetic"),
        (0xCA, "arithmetic"),
        (0xCB, "lossless"),
        (0xCD, "hierarchical"),
        (0xF7, "JPEG-LS"),
    ],
)
def test_another_process_is_refused_by_its_name(marker: int, name: str) -> None:
    with pytest.raises(UndecodableImage, match=f"{name}.*not decoded; save it"):
        pixels(KINDS["baseline"].replace(b"\xff\xc0", bytes((0xFF, marker)), 1))


@pytest.mark.parametrize(
    ("offset", "value", "name"),
    [
        (4, b"\x0c", "12 bits"),
        (5, b"\0\0", "DNL"),
        (7, b"\0\0", "width 0"),
        (9, b"\2", "2 components"),
    ],
)
def test_another_frame_is_refused_by_what_it_is(offset: int, value: bytes, name: str) -> None:
    body = KINDS["baseline"]
    at = body.index(b"\xff\xc0") + offset
    with pytest.raises(UndecodableImage, match=name):
        pixels(body[:at] + value + body[at + len(value) :])


def test_a_hierarchy_is_refused_by_its_name() -> None:
    body = KINDS["baseline"]
    with pytest.raises(UndecodableImage, match="hierarchical"):
        pixels(body[:2] + b"\xff\xde\0\x11\x08\0\x10\0\x10\3\1\x11\0\2\x11\0\3\x11\0" + body[2:])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\xff\xd8\xff\xfe\0\2" * 1, "ends before its image data"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 100_000, "more than 4096 segments"),
        (b"\xff\xd8\xff\xe1\xff\xff", "between its markers"),
        (b"\xff\xd8\xff\xda\0\x0c" + bytes(10), "no frame header"),
        (KINDS["baseline"][:2] + KINDS["baseline"], "second beginning"),
    ],
)
def test_a_head_that_cannot_be_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(UndecodableImage, match=words):
        pixels(body)


def test_more_scans_than_any_encoder_writes_are_refused() -> None:
    """Each goes over the whole image: a few kilobytes of them would take minutes."""
    body = KINDS["progressive grey"]
    last = scans(body)[-1]
    with pytest.raises(UndecodableImage, match="more than 64 scans"):
        pixels(body[:last] + body[last:].removesuffix(EOI) * 100 + EOI)


@pytest.mark.parametrize("body_type", [bytes, bytearray, memoryview, lambda body: memoryview(bytearray(body))])
@pytest.mark.parametrize("kind", ["baseline", "progressive", "CMYK, odd sampling"])
def test_the_body_may_be_any_buffer(body_type: Any, kind: str) -> None:
    assert np.array_equal(decode(body_type(KINDS[kind]), LIMITS)[0], by_pillow(KINDS[kind]))
    assert np.array_equal(decode(body_type(KINDS[kind].removesuffix(EOI)), LIMITS)[0], by_pillow(KINDS[kind]))


@pytest.mark.parametrize("progressive", [False, True])
def test_orientation_in_xmp_alone_is_not_applied(progressive: bool) -> None:
    """Browsers go by EXIF alone; so do those who look at the picture before they send it."""
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    plain = encode(PHOTO, "JPEG", progressive=progressive)
    assert np.array_equal(pixels(encode(PHOTO, "JPEG", progressive=progressive, xmp=packet)), by_pillow(plain))
    both = encode(PHOTO, "JPEG", progressive=progressive, xmp=packet, exif=exif(3))
    assert np.array_equal(pixels(both), by_pillow(plain)[::-1, ::-1])


@pytest.mark.parametrize("place", ["before the frame", "before the end"])
def test_bytes_that_fill_the_space_before_a_marker_are_passed_over_in_one_pass(place: str) -> None:
    """The pattern that took them as a group tried each of them anew: 40 kB cost 24 s, a megabyte more than an hour."""
    body = KINDS["progressive"]
    at = 2 if place == "before the frame" else len(body) - 2
    filled = body[:at] + b"\xff" * 1_000_000 + body[at:]
    assert np.array_equal(pixels(filled), pixels(body))


def test_filling_that_leads_nowhere_is_refused_in_one_pass() -> None:
    with pytest.raises(UndecodableImage, match="before its image data"):
        pixels(b"\xff\xd8" + b"\xff" * 1_000_000 + b"\0" * 10)
