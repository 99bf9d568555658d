"""Every rule by which bytes become UINT8 [N, H, W, 3] RGB, against pixels worked out without the code under test."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterable
from typing import Any, Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, _imaging
from skimage import data

from tests.testkit.image_files import Pixels, bitmap, chunk, encode, exif, png
from tests.testkit.photos import sample
from topfive.ground.errors import MalformedRequest, TooLarge, TopfiveError, UndecodableImage, UnsupportedMediaType
from topfive.images.decoding import ImageLimits, RawShape, decode, view_raw

LIMITS: Final = ImageLimits(max_pixels=1_000_000, max_dimension=2_000, max_images=8)
PILLOW: Final = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WEBP",
    "image/gif": "GIF",
    "image/bmp": "BMP",
    "image/avif": "AVIF",
    "image/tiff": "TIFF",
}
# Damaged metadata makes Pillow warn on standard error; that the image is read all the same, or refused, is tested here.
quiet_pillow = pytest.mark.filterwarnings(
    r"ignore:(Corrupt EXIF|Truncated File|Tag data|Metadata Warning|Image appears|Invalid APNG):UserWarning:PIL\."
)

_random = np.random.default_rng(5)
GREY: Final[Pixels] = _random.integers(0, 256, (5, 7), np.uint8)
ALPHA: Final[Pixels] = np.linspace(0, 255, 35).astype(np.uint8).reshape(5, 7)
RGB: Final[Pixels] = _random.integers(0, 256, (5, 7, 3), np.uint8)
PALETTE: Final[Pixels] = _random.integers(0, 256, (256, 3), np.uint8)
WIDE: Final = _random.integers(0, 1 << 16, (5, 7, 4), np.uint16)
BITS: Final = GREY > 127
KEY: Final = np.equal(GREY, GREY[2, 3])
COLOUR_KEY: Final = np.equal(RGB, RGB[2, 3]).all(axis=-1)
SMOOTH: Final[Pixels] = np.stack(
    [np.tile(np.arange(0, 240, 5), (32, 1)), np.tile(np.arange(0, 224, 7)[:, None], 48), np.full((32, 48), 90)], axis=-1
).astype(np.uint8)


def decoded(body: bytes, media_type: str) -> Pixels:
    """The one image in `body`."""
    images = decode(body, LIMITS)
    assert images.shape[0] == 1
    image: Pixels = images[0]
    return image


def palette_image(indices: Pixels) -> Image.Image:
    image = Image.frombytes("P", (indices.shape[1], indices.shape[0]), indices.tobytes())
    image.putpalette(PALETTE.tobytes())
    return image


def grey_as_rgb(grey: NDArray[Any]) -> NDArray[Any]:
    return np.stack([grey] * 3, axis=-1)


def over_white(colour: NDArray[Any], alpha: NDArray[Any]) -> NDArray[Any]:
    share = alpha[..., None] / 255
    return colour * share + 255 * (1 - share)


def key_to_white(colour: NDArray[Any], key: NDArray[Any]) -> NDArray[Any]:
    return np.where(key[..., None], 255, colour)


RULES: Final[dict[str, tuple[bytes, str, NDArray[Any]]]] = {
    "RGB PNG": (encode(RGB, "PNG"), "image/png", RGB),
    "RGB WebP": (encode(RGB, "WEBP", lossless=True), "image/webp", RGB),
    "RGB BMP": (encode(RGB, "BMP"), "image/bmp", RGB),
    "palette GIF": (encode(palette_image(GREY), "GIF"), "image/gif", PALETTE[GREY]),
    "palette BMP": (encode(palette_image(GREY), "BMP"), "image/bmp", PALETTE[GREY]),
    "palette PNG": (encode(palette_image(GREY), "PNG"), "image/png", PALETTE[GREY]),
    "grey PNG": (encode(GREY, "PNG"), "image/png", grey_as_rgb(GREY)),
    "grey BMP": (encode(GREY, "BMP"), "image/bmp", grey_as_rgb(GREY)),
    "grey GIF": (encode(GREY, "GIF"), "image/gif", grey_as_rgb(GREY)),
    "1-bit PNG": (encode(Image.fromarray(BITS), "PNG"), "image/png", grey_as_rgb(BITS * 255)),
    "1-bit BMP": (encode(Image.fromarray(BITS), "BMP"), "image/bmp", grey_as_rgb(BITS * 255)),
    "grey and alpha": (
        encode(np.stack([GREY, ALPHA], axis=-1), "PNG"),
        "image/png",
        over_white(grey_as_rgb(GREY), ALPHA),
    ),
    "RGBA PNG": (encode(np.dstack([RGB, ALPHA]), "PNG"), "image/png", over_white(RGB, ALPHA)),
    "RGBA WebP": (encode(np.dstack([RGB, ALPHA]), "WEBP", lossless=True), "image/webp", over_white(RGB, ALPHA)),
    "palette, an alpha for each entry": (
        encode(palette_image(GREY), "PNG", transparency=bytes(range(256))),
        "image/png",
        over_white(PALETTE[GREY], GREY),
    ),
    "palette, one entry transparent": (
        encode(palette_image(GREY), "PNG", transparency=int(GREY[2, 3])),
        "image/png",
        key_to_white(PALETTE[GREY], KEY),
    ),
    "GIF, one entry transparent": (
        encode(palette_image(GREY), "GIF", transparency=int(GREY[2, 3])),
        "image/gif",
        key_to_white(PALETTE[GREY], KEY),
    ),
    "grey, one level transparent": (
        encode(GREY, "PNG", transparency=int(GREY[2, 3])),
        "image/png",
        key_to_white(grey_as_rgb(GREY), KEY),
    ),
    "RGB, one colour transparent": (
        encode(RGB, "PNG", transparency=tuple(RGB[2, 3].tolist())),
        "image/png",
        key_to_white(RGB, COLOUR_KEY),
    ),
    "1-bit, black transparent": (
        encode(Image.fromarray(BITS), "PNG", transparency=0),
        "image/png",
        np.full((5, 7, 3), 255),
    ),
    "16-bit grey": (png(WIDE[..., :1], 0), "image/png", grey_as_rgb(WIDE[..., 0] >> 8)),
    "16-bit grey and alpha": (
        png(WIDE[..., :2], 4),
        "image/png",
        over_white(grey_as_rgb(WIDE[..., 0] >> 8), WIDE[..., 1] >> 8),
    ),
    "16-bit RGB": (png(WIDE[..., :3], 2), "image/png", WIDE[..., :3] >> 8),
    "16-bit RGBA": (png(WIDE, 6), "image/png", over_white(WIDE[..., :3] >> 8, WIDE[..., 3] >> 8)),
}


@pytest.mark.parametrize("rule", RULES)
def test_lossless_images_become_rgb_by_the_stated_rule(rule: str) -> None:
    body, _, expected = RULES[rule]
    image = decode(body, LIMITS)
    assert image.dtype == np.uint8
    assert image.shape == (1, 5, 7, 3)
    # Composing over white rounds; everything else is exact.
    tolerance = 0 if expected.dtype.kind in "iu" else 1
    assert np.abs(image[0] - expected.astype(float)).max() <= tolerance


BGRA: Final = np.dstack([RGB[..., ::-1], ALPHA])
MASKS: Final = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)


@pytest.mark.parametrize(("version", "header_bytes"), [(4, 108), (5, 124)])
@pytest.mark.parametrize("from_top", [False, True])
def test_a_bitmap_whose_alpha_is_nowhere_set_is_opaque(version: int, header_bytes: int, from_top: bool) -> None:
    """As the Windows clipboard and many programs write them: a mask for alpha, and zeros where it would be."""
    blank = BGRA * np.array([1, 1, 1, 0], np.uint8)
    for stored, expected in ((blank, RGB), (BGRA, over_white(RGB, ALPHA))):
        rows = (stored if from_top else stored[::-1]).tobytes()
        body = bitmap(rows, (-5 if from_top else 5, 7), 32, compression=3, masks=MASKS, header_bytes=header_bytes)
        assert np.abs(decoded(body, "image/bmp") - expected.astype(float)).max() <= 1, f"V{version}"


def test_other_bitmaps() -> None:
    rows = np.ascontiguousarray(BGRA[::-1])
    assert np.array_equal(decoded(bitmap(rows.tobytes(), (5, 7), 32), "image/bmp"), RGB)
    assert np.array_equal(decoded(bitmap(rows.tobytes(), (5, 7), 32, compression=3, masks=MASKS[:3]), "image/bmp"), RGB)
    five = RGB.astype(np.uint16) >> 3
    padded = np.zeros((5, 8), np.uint16)
    padded[:, :7] = (five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2])[::-1]
    assert np.abs(decoded(bitmap(padded.tobytes(), (5, 7), 16), "image/bmp").astype(int) - RGB).max() <= 7
    runs = b"".join(b"".join(bytes((1, int(value))) for value in row) + b"\0\0" for row in GREY[::-1]) + b"\0\1"
    palette = np.dstack([PALETTE[np.newaxis, :, ::-1], np.zeros((1, 256), np.uint8)]).tobytes()
    body = bitmap(runs, (5, 7), 8, compression=1, palette=palette)
    assert np.array_equal(decoded(body, "image/bmp"), PALETTE[GREY])
    with pytest.raises(UndecodableImage):
        decoded(body[:-20], "image/bmp")
    with pytest.raises(TooLarge, match="run-length"):
        decode(bitmap(runs, (2001, 2000), 8, compression=1, palette=palette), ImageLimits(10**8, 10**4, 1))


@pytest.mark.parametrize("header_bytes", [40, 56, 108, 124])
@pytest.mark.parametrize(
    ("bits", "masks"),
    [
        (32, (0xFF0000, 0xFF00, 0xFF)),
        (32, (0xFF, 0xFF00, 0xFF0000)),
        (32, (0xFF000000, 0xFF0000, 0xFF00)),
        (32, (0x3FF00000, 0xFFC00, 0x3FF)),
        (16, (0xF800, 0x7E0, 0x1F)),
        (16, (0x7C00, 0x3E0, 0x1F)),
        (16, (0xF00, 0xF0, 0xF)),
    ],
)
@pytest.mark.parametrize("alpha", [0, 1])
def test_a_bitmap_of_any_bit_fields(header_bytes: int, bits: int, masks: tuple[int, ...], alpha: int) -> None:
    """Also with a mask for alpha that is set nowhere, of whatever bits the colours leave over."""
    if alpha and (header_bytes == 40 or not ~sum(masks) & ((1 << bits) - 1)):
        masks_with_alpha = masks
    else:
        masks_with_alpha = (*masks, (~sum(masks) & ((1 << bits) - 1)) if alpha else 0)[: 3 if header_bytes == 40 else 4]
    stored = np.zeros((5, 8), np.uint32)
    for channel, mask in enumerate(masks):
        lowest = mask & -mask
        most = mask // lowest
        stored[:, :7] |= (np.round(RGB[::-1, :, channel] / 255 * most)).astype(np.uint32) * np.uint32(lowest)
    rows = stored.astype(np.uint16).tobytes() if bits == 16 else np.ascontiguousarray(stored[:, :7]).tobytes()
    body = bitmap(rows, (5, 7), bits, compression=3, masks=masks_with_alpha, header_bytes=header_bytes)
    largest_step = max(255 // (mask // (mask & -mask)) for mask in masks)
    assert np.abs(decoded(body, "image/bmp").astype(int) - RGB).max() <= largest_step // 2 + 1
    with pytest.raises(UndecodableImage):
        decoded(body[:-9], "image/bmp")


def test_a_bitmap_of_masks_with_gaps_is_refused() -> None:
    body = bitmap(bytes(5 * 7 * 4), (5, 7), 32, compression=3, masks=(0xF0F0, 0xFF, 0xFF0000), header_bytes=108)
    with pytest.raises(UndecodableImage, match="gaps"):
        decoded(body, "image/bmp")


def gif_on_canvas(frame: bytes, canvas: tuple[int, int], at: tuple[int, int]) -> bytes:
    """`frame`, a GIF that Pillow wrote, on a canvas (height, width), its upper left corner `at` (row, column)."""
    head = bytearray(frame)
    head[6:10] = struct.pack("<HH", canvas[1], canvas[0])
    position = 13 + (3 << ((head[10] & 7) + 1) if head[10] & 0x80 else 0)
    while head[position] == ord("!"):
        position += 2
        while head[position]:
            position += head[position] + 1
        position += 1
    assert head[position] == ord(",")
    head[position + 1 : position + 5] = struct.pack("<HH", at[1], at[0])
    return bytes(head)


@pytest.mark.parametrize("options", [{}, {"transparency": int(GREY[2, 3])}], ids=["opaque", "transparent"])
@pytest.mark.parametrize("at", [(0, 0), (3, 2), (5, 4)])
def test_a_gif_frame_smaller_than_its_canvas_stands_on_white(options: dict[str, int], at: tuple[int, int]) -> None:
    """Not on the palette's first colour, nor on the one that the file names as background: browsers show neither."""
    frame = encode(palette_image(GREY), "GIF", **options)
    image = decoded(gif_on_canvas(frame, (10, 11), at), "image/gif")
    expected = np.full((10, 11, 3), 255, np.uint8)
    expected[at[0] : at[0] + 5, at[1] : at[1] + 7] = decoded(frame, "image/gif")
    assert np.array_equal(image, expected)


def test_a_gif_with_endless_comments_is_refused() -> None:
    body = b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0, 0, 0) + b"!\xfe" + b"\1a" * 1_000_000
    with pytest.raises(UndecodableImage, match="too many blocks"):
        decoded(body, "image/gif")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_orientation_in_xmp_alone_is_not_applied(kind: str) -> None:
    packet = b'<rdf:Description tiff:Orientation="6"/>'
    options: dict[str, Any] = {"xmp": packet, "lossless": True}
    if kind == "PNG":
        body = png(RGB, 2, chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet))
    elif kind == "TIFF":
        body = encode(RGB, "TIFF", tiffinfo={700: packet})
    else:
        body = encode(RGB, kind, **options)
    with Image.open(io.BytesIO(body)) as check:
        assert check.getexif().get(0x0112) == 6, "Pillow does not see it, so this tests nothing"
    assert np.array_equal(decoded(body, ""), RGB)


@pytest.mark.parametrize("media_type", PILLOW)
def test_a_file_of_any_served_format_needs_no_name(media_type: str) -> None:
    body = encode(palette_image(GREY).convert("RGB"), PILLOW[media_type])
    assert decode(body, LIMITS).shape == (1, 5, 7, 3)


@pytest.mark.parametrize("kind", ["ICO", "PPM", "PDF", "JPEG2000"])
def test_a_format_that_is_not_served_is_named(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="looks like"):
        decode(encode(Image.new("RGB", (16, 16)), kind), LIMITS)


@pytest.mark.parametrize("body_type", [bytes, bytearray, memoryview])
def test_a_body_may_be_any_buffer(body_type: Callable[[bytes], bytes]) -> None:
    assert np.array_equal(decode(body_type(encode(RGB, "PNG")), LIMITS)[0], RGB)


def test_grey_jpeg() -> None:
    grey = SMOOTH[..., 0]
    difference = decoded(encode(grey, "JPEG", quality=95), "image/jpeg").astype(int) - grey_as_rgb(grey)
    assert np.abs(difference).max() <= 4


def test_cmyk_jpeg() -> None:
    ink = np.dstack([SMOOTH, np.full(SMOOTH.shape[:2], 60, np.uint8)])
    body = encode(Image.frombytes("CMYK", (48, 32), ink.tobytes()), "JPEG", quality=100, subsampling=0)
    expected = (255 - ink[..., :3].astype(float)) * (255 - ink[..., 3:].astype(float)) / 255
    assert np.abs(decoded(body, "image/jpeg") - expected).max() <= 4


@pytest.mark.parametrize("quality", [50, 95])
def test_a_progressive_jpeg_has_the_pixels_of_the_baseline_one(quality: int) -> None:
    photo = data.astronaut()[:200, :300]
    baseline, progressive = (
        decoded(encode(photo, "JPEG", quality=quality, progressive=progressive), "image/jpeg")
        for progressive in (False, True)
    )
    assert np.array_equal(baseline, progressive)
    assert np.abs(baseline.astype(int) - photo).mean() < 8


@pytest.mark.parametrize("photo", [sample("china.jpg"), sample("flower.jpg")], ids=["china", "flower"])
@pytest.mark.parametrize(
    ("media_type", "options", "largest_mean_error"),
    [
        ("image/png", {"compress_level": 1}, 0.0),
        ("image/bmp", {}, 0.0),
        ("image/jpeg", {"quality": 95}, 3.0),
        ("image/webp", {"quality": 90, "method": 0}, 4.0),
        ("image/avif", {"quality": 90, "speed": 10}, 4.0),
        ("image/tiff", {}, 0.0),
        ("image/tiff", {"compression": "tiff_lzw"}, 0.0),
        ("image/tiff", {"compression": "tiff_adobe_deflate"}, 0.0),
        ("image/tiff", {"compression": "jpeg", "quality": 95}, 4.0),
    ],
)
def test_photos_come_out_as_they_went_in(
    photo: Pixels, media_type: str, options: dict[str, int], largest_mean_error: float
) -> None:
    image = decoded(encode(photo, PILLOW[media_type], **options), media_type)
    assert image.shape == photo.shape
    assert np.abs(image.astype(int) - photo).mean() <= largest_mean_error


# Where EXIF says that the stored row 0 and column 0 are shown, and what that makes of the stored pixels.
ORIENTATIONS: Final[dict[int, Callable[[Pixels], Pixels]]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(
    ("media_type", "options", "tolerance"),
    [
        ("image/jpeg", {"quality": 100, "subsampling": 0}, 4),
        ("image/png", {}, 0),
        ("image/webp", {"lossless": True}, 0),
        ("image/avif", {"quality": 100, "subsampling": "4:4:4"}, 9),
        ("image/tiff", {}, 0),
    ],
)
def test_exif_orientation_is_applied(
    orientation: int, media_type: str, options: dict[str, Any], tolerance: int
) -> None:
    image = decoded(encode(SMOOTH, PILLOW[media_type], exif=exif(orientation), **options), media_type)
    expected = ORIENTATIONS[orientation](SMOOTH)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize(
    ("image", "transparency", "expected"),
    [
        (palette_image(GREY), bytes(range(256)), over_white(PALETTE[GREY], GREY)),
        (palette_image(GREY), int(GREY[2, 3]), key_to_white(PALETTE[GREY], KEY)),
        (Image.fromarray(WIDE[..., 0]), None, grey_as_rgb(WIDE[..., 0] >> 8)),
    ],
    ids=["palette and alpha", "palette and one transparent entry", "16-bit grey"],
)
def test_orientation_goes_with_the_colour_rules(
    orientation: int, image: Image.Image, transparency: bytes | int | None, expected: NDArray[Any]
) -> None:
    body = encode(image, "PNG", exif=exif(orientation), transparency=transparency)
    difference = decoded(body, "image/png") - ORIENTATIONS[orientation](expected).astype(float)
    assert np.abs(difference).max() <= 1


def test_an_exif_block_after_the_pixels_counts() -> None:
    body, end = png(RGB, 2), chunk(b"IEND", b"")
    late = body.removesuffix(end) + chunk(b"eXIf", exif(6).removeprefix(b"Exif\0\0")) + end
    assert np.array_equal(decoded(late, "image/png"), np.rot90(RGB, -1))


@quiet_pillow
@pytest.mark.parametrize(
    "block",
    [
        b"Exif\0\0",
        b"Exif\0\0not a TIFF file at all",
        exif(6)[:12],
        exif(6)[:20],
        exif(0),
        exif(9),
        exif(6, kind=2),
        exif(6, kind=10),
    ],
    ids=["empty", "garbage", "cut in its head", "cut in its list", "0", "9", "a text", "a fraction"],
)
@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png", "image/webp"])
def test_a_broken_exif_block_counts_as_none(block: bytes, media_type: str) -> None:
    plain, broken = (
        decoded(encode(SMOOTH, PILLOW[media_type], **options), media_type) for options in ({}, {"exif": block})
    )
    assert np.array_equal(plain, broken)


@quiet_pillow
@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60), st.booleans(), st.sampled_from(["image/jpeg", "image/png", "image/webp"]))
def test_no_exif_block_does_more_than_turn_the_image(content: bytes, has_head: bool, media_type: str) -> None:
    block = b"Exif\0\0" + b"MM\0*\0\0\0\x08" * has_head + content
    plain = decoded(encode(SMOOTH, PILLOW[media_type]), media_type)
    image = decoded(encode(SMOOTH, PILLOW[media_type], exif=block), media_type)
    assert any(np.array_equal(image, turn(plain)) for turn in ORIENTATIONS.values())


@pytest.mark.parametrize(
    ("kind", "media_type", "options"),
    [
        ("GIF", "image/gif", {}),
        ("WEBP", "image/webp", {"lossless": True}),
        ("PNG", "image/png", {}),
        ("PNG", "image/png", {"default_image": True}),
        ("MPO", "image/jpeg", {"quality": 100, "subsampling": 0}),  # as telephones write it, in .jpg files
    ],
    ids=["GIF", "WebP", "APNG", "APNG with a still", "MPO"],
)
def test_the_first_frame_of_several_is_taken(kind: str, media_type: str, options: dict[str, Any]) -> None:
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    body = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(body)) as check:
        assert getattr(check, "n_frames", 1) == 3
    assert np.abs(decoded(body, media_type).astype(int) - (255, 0, 0)).max() <= 2


WHOLE: Final = {
    "JPEG": (encode(SMOOTH, "JPEG"), "image/jpeg"),
    "progressive JPEG": (encode(SMOOTH, "JPEG", progressive=True), "image/jpeg"),
    "JPEG with EXIF": (encode(SMOOTH, "JPEG", exif=exif(6)), "image/jpeg"),
    "CMYK JPEG": (encode(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"), "image/jpeg"),
    "PNG": (encode(SMOOTH, "PNG"), "image/png"),
    "PNG of noise": (encode(RGB, "PNG", exif=exif(6)), "image/png"),
    "palette PNG": (encode(palette_image(GREY), "PNG", transparency=bytes(range(256))), "image/png"),
    "16-bit PNG": (png(WIDE[..., :1], 0), "image/png"),
    "APNG": (encode(RGB, "PNG", save_all=True, append_images=[Image.fromarray(RGB[::-1])]), "image/png"),
    "WebP": (encode(SMOOTH, "WEBP"), "image/webp"),
    "lossless WebP": (encode(RGB, "WEBP", lossless=True, exif=exif(6)), "image/webp"),
    "animated WebP": (encode(RGB, "WEBP", save_all=True, append_images=[Image.fromarray(RGB[::-1])]), "image/webp"),
    "GIF": (encode(palette_image(GREY), "GIF"), "image/gif"),
    "animated GIF": (encode(RGB, "GIF", save_all=True, append_images=[Image.fromarray(RGB[::-1])]), "image/gif"),
    "AVIF": (encode(SMOOTH, "AVIF"), "image/avif"),
    "AVIF with EXIF": (encode(SMOOTH, "AVIF", exif=exif(6)), "image/avif"),
    "TIFF": (encode(RGB, "TIFF"), "image/tiff"),
    "LZW TIFF": (encode(SMOOTH, "TIFF", compression="tiff_lzw"), "image/tiff"),
    "deflate TIFF": (encode(SMOOTH, "TIFF", compression="tiff_adobe_deflate"), "image/tiff"),
    "JPEG TIFF": (encode(SMOOTH, "TIFF", compression="jpeg"), "image/tiff"),
    "fax TIFF": (encode(Image.fromarray(SMOOTH).convert("1"), "TIFF", compression="group4"), "image/tiff"),
    "BMP": (encode(RGB, "BMP"), "image/bmp"),
    "palette BMP": (encode(palette_image(GREY), "BMP"), "image/bmp"),
}


@quiet_pillow
@pytest.mark.parametrize("kind", WHOLE)
def test_a_truncated_image_is_refused_or_has_all_its_pixels(kind: str) -> None:
    """Where only the trailer is missing, all pixels are there; never are some of them made up."""
    body, media_type = WHOLE[kind]
    expected = decoded(body, media_type)
    refused = 0
    for end in range(0, len(body), max(1, len(body) // 200)):
        try:
            image = decoded(body[:end], media_type)
        except UndecodableImage:
            refused += 1
        else:
            assert np.array_equal(image, expected), f"cut to {end} of {len(body)} bytes"
    assert refused > 20


ROWS: Final = b"".join(b"\0" + row.tobytes() for row in RGB)


@pytest.mark.parametrize(
    "content",
    [
        b"not deflated",
        zlib.compress(ROWS[: len(ROWS) // 2]),
        zlib.compress(ROWS, 0)[:40] + b"\xff" * 20 + zlib.compress(ROWS, 0)[60:],
        zlib.compress(ROWS)[:-4] + bytes(4),
        zlib.compress(b"\x09" + ROWS[1:]),
        b"",
    ],
    ids=["garbage", "half of the rows", "overwritten", "wrong checksum", "unknown filter", "nothing"],
)
@pytest.mark.parametrize("extra", [b"", chunk(b"eXIf", exif(6)[6:])], ids=["plain", "with EXIF"])
def test_a_png_whose_pixels_are_damaged_is_refused(content: bytes, extra: bytes) -> None:
    """Its chunks are whole, so only the decoder can tell."""
    assert np.array_equal(decoded(png(RGB, 2, data=zlib.compress(ROWS)), "image/png"), RGB)
    with pytest.raises(UndecodableImage):
        decoded(png(RGB, 2, extra, data=content), "image/png")


def test_a_palette_png_without_its_palette_is_refused() -> None:
    with pytest.raises(UndecodableImage):
        decoded(png(GREY[..., None], 3), "image/png")


@pytest.mark.parametrize(
    ("height", "width", "fits"),
    [(20, 50, True), (50, 20, True), (1, 50, True), (51, 1, False), (1, 51, False), (32, 32, False), (31, 32, True)],
)
@pytest.mark.parametrize("media_type", PILLOW)
def test_the_limits_hold_to_the_pixel(height: int, width: int, fits: bool, media_type: str) -> None:
    limits = ImageLimits(max_pixels=1_000, max_dimension=50, max_images=1)
    body = encode(Image.new("L", (width, height)), PILLOW[media_type])
    if fits:
        assert decode(body, limits).shape == (1, height, width, 3)
    else:
        with pytest.raises(TooLarge, match=f"{height}x{width}|{height * width} pixels"):
            decode(body, limits)


def patched(body: bytes, after: bytes, offset: int, replacement: bytes) -> bytes:
    """`body` with `replacement` at `offset` from where `after` first occurs."""
    start = body.index(after) + offset
    return body[:start] + replacement + body[start + len(replacement) :]


BOMBS: Final = {
    "PNG": (png(RGB, 2, size=60_000), "image/png"),
    "JPEG": (patched(encode(RGB, "JPEG"), b"\xff\xc0", 5, struct.pack(">HH", 60_000, 60_000)), "image/jpeg"),
    "BMP": (patched(encode(RGB, "BMP"), b"BM", 18, struct.pack("<ii", 60_000, 60_000)), "image/bmp"),
    "GIF screen": (patched(encode(RGB, "GIF"), b"GIF8", 6, struct.pack("<HH", 60_000, 60_000)), "image/gif"),
    "GIF frame": (patched(encode(RGB, "GIF"), b",", 5, struct.pack("<HH", 60_000, 60_000)), "image/gif"),
    "WebP": (patched(encode(RGB, "WEBP"), b"\x9d\x01*", 3, struct.pack("<HH", 16_383, 16_383)), "image/webp"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_decompression_bomb_is_refused_before_its_pixels_take_memory(kind: str) -> None:
    body, _ = BOMBS[kind]
    limits = ImageLimits(max_pixels=25_000_000, max_dimension=60_000, max_images=1)
    _imaging.reset_stats()
    tracemalloc.start()
    with pytest.raises(TooLarge):
        decode(body, limits)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20
    assert _imaging.get_stats()["new_count"] == 0
    decoded(encode(RGB, "PNG"), "image/png")
    assert _imaging.get_stats()["new_count"] > 0, "Pillow does not count its images any more"


def test_pillow_has_no_limit_of_its_own() -> None:
    limits = ImageLimits(max_pixels=200_000_000, max_dimension=200_000_000, max_images=1)
    body = png(RGB, 0, data=zlib.compress(b""), size=13_500)  # above what Pillow warns of, and raises for
    with pytest.raises(UndecodableImage):
        decode(body, limits)


@pytest.mark.parametrize("body_type", [bytes, bytearray, memoryview])
def test_raw_pixels_are_viewed_not_copied(body_type: Callable[[bytes], bytes]) -> None:
    body = body_type(bytes(range(2 * 3 * 4 * 3)))
    images = view_raw(body, RawShape(height=3, width=4, count=2))
    assert images.shape == (2, 3, 4, 3)
    assert images.dtype == np.uint8
    assert np.shares_memory(images, np.frombuffer(body, np.uint8))
    assert images[1, 2, 0].tolist() == [36 + 24, 36 + 25, 36 + 26]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.integers(0, 1500))
def test_a_raw_body_has_exactly_its_declared_length(height: int, width: int, count: int, length: int) -> None:
    shape = RawShape(height=height, width=width, count=count)
    assert shape.nbytes == height * width * count * 3
    assert view_raw(bytes(shape.nbytes), shape).nbytes == shape.nbytes
    if length != shape.nbytes:
        with pytest.raises(MalformedRequest, match=f"{length} bytes.*= {shape.nbytes};"):
            view_raw(bytes(length), shape)


@pytest.mark.parametrize(
    ("height", "width", "count", "error"),
    [
        (0, 1, 1, MalformedRequest),
        (1, 0, 1, MalformedRequest),
        (1, 1, 0, MalformedRequest),
        (-1, 1, 1, MalformedRequest),
        (-2, -2, 1, MalformedRequest),
        (2_001, 1, 1, TooLarge),
        (1, 2_001, 1, TooLarge),
        (1_001, 1_000, 1, TooLarge),
        (1, 1, 9, TooLarge),
        (10**12, 10**12, 10**12, TooLarge),
        (2_000, 500, 8, None),
        (1, 1, 1, None),
    ],
)
def test_a_raw_shape_is_checked_before_its_body_is_read(
    height: int, width: int, count: int, error: type[TopfiveError] | None
) -> None:
    shape = RawShape(height=height, width=width, count=count)
    if error is None:
        shape.check(LIMITS)
    else:
        with pytest.raises(error):
            shape.check(LIMITS)


def with_true_checksums(body: bytes) -> bytes:
    """A PNG file whose chunks carry the checksums of what they now hold, so that the damage reaches the decoder."""
    result, position = body[:8], 8
    while position + 8 <= len(body):
        (length,) = struct.unpack_from(">I", body, position)
        kind = body[position + 4 : position + 8]
        content = body[position + 8 : position + 8 + length]
        result += body[position : position + 8] + content + struct.pack(">I", zlib.crc32(kind + content))
        position += 12 + length
    return result


def damaged(body: bytes, edits: Iterable[tuple[int, int]], end: int) -> bytes:
    copy = bytearray(body)
    for position, value in edits:
        copy[position % len(copy)] = value
    return bytes(copy[: len(copy) - end])


@quiet_pillow
@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    edits=st.lists(st.tuples(st.integers(0, 4_000) | st.integers(0, 60), st.integers(0, 255)), min_size=1, max_size=6),
    end=st.just(0) | st.integers(0, 200),
    checksums=st.booleans(),
)
def test_damaged_bytes_are_refused_or_decoded_within_the_limits(
    kind: str, edits: list[tuple[int, int]], end: int, checksums: bool
) -> None:
    """Nothing that a client sends ends in an error that is not ours."""
    body, media_type = WHOLE[kind]
    body = damaged(body, edits, end)
    if checksums and media_type == "image/png":
        body = with_true_checksums(body)
    try:
        images = decode(body, LIMITS)
    except TopfiveError:
        return
    count, height, width, channels = images.shape
    assert images.dtype == np.uint8
    assert (count, channels) == (1, 3)
    assert 0 < height * width <= LIMITS.max_pixels
    assert max(height, width) <= LIMITS.max_dimension


@given(st.binary(max_size=100))
def test_garbage_is_refused(body: bytes) -> None:
    with pytest.raises(TopfiveError):
        decode(body, LIMITS)
