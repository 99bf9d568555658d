"""Decodes every served format except JPEG with Pillow, and does what each format needs before and after.

What lives here: the order and the rules of these steps. What does not: each format's structure, in a module of its own.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, TiffImagePlugin, UnidentifiedImageError

from topfive.ground.errors import UndecodableImage
from topfive.images.files import gif, heic, tiff
from topfive.images.files.bitfields import read_bitfields
from topfive.images.files.exif import orientation
from topfive.images.files.formats import AVIF, BMP, GIF, HEIC, PNG, TIFF, WEBP, Format
from topfive.images.files.headers import check_bitmap, webp_size
from topfive.images.files.limits import Buffer, DecodingRules, ImageLimits
from topfive.images.files.modes import Reading, image_to_rgb
from topfive.images.files.png import read_png
from topfive.images.files.tiff_data import check_pieces

# We check our own limits, per service, before decoding; Pillow's limit is global and only warns.
Image.MAX_IMAGE_PIXELS = None
# There is already one prepare thread for each core.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_SAYS_ORIENTATION = (WEBP, AVIF, HEIC)
"""Formats whose EXIF block comes from Pillow. It turns a TIFF itself; GIF and BMP have no such block; a PNG's is read
with its chunks. Turns that an AVIF or HEIC file demands (irot, imir) are either in that block or done already."""


def decode_with_pillow(body: Buffer, kind: Format, limits: ImageLimits, rules: DecodingRules) -> NDArray[np.uint8]:
    """[H, W, 3] RGB; raises `UndecodableImage`, `UnsupportedMediaType` or `TooLarge`."""
    try:
        return _decoded(body, kind, limits, rules)
    except UnidentifiedImageError:
        raise UndecodableImage(
            f"the image begins like {kind.name} and is damaged or cut short, or of a kind that is not decoded; send "
            "the whole file, or save it anew"
        ) from None
    except (
        *(OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, struct.error, OverflowError, MemoryError),
        *(AssertionError, AttributeError, TypeError, RuntimeError),
    ) as error:
        # Pillow's plug-ins raise any of these errors for damaged files.
        raise UndecodableImage(f"the image is damaged or cut short: {error}") from error


def _decoded(body: Buffer, kind: Format, limits: ImageLimits, rules: DecodingRules) -> NDArray[np.uint8]:
    data, block, profile = body, None, None
    tags: tiff.Tags = {}
    if kind is PNG:
        parts = read_png(body)
        limits.check(parts.height, parts.width)
        data, block, profile = parts.data, parts.exif, parts.icc
    elif kind is TIFF:
        tags = tiff.check_tiff(body, limits.check)
    else:
        _check_head(body, kind, limits)
    if kind is BMP and (fields := read_bitfields(body, limits)) is not None:
        return image_to_rgb(fields, Reading(ignore_blank_alpha=True))
    assert kind.pillow is not None
    with Image.open(io.BytesIO(data), formats=(kind.pillow,)) as image:
        limits.check(image.height, image.width)
        for name in ("xmp", "XML:com.adobe.xmp"):  # else Pillow would look for an orientation there
            image.info.pop(name, None)
        box = gif.extent(image) if kind is GIF else None
        if isinstance(image, TiffImagePlugin.TiffImageFile):
            check_pieces(body, image.tag_v2, limits)
        image.load()
        if kind in _SAYS_ORIENTATION:
            block = image.info.get("exif")
        if kind is not PNG:
            profile = image.info.get("icc_profile")
        pixels = image_to_rgb(
            image,
            Reading(
                profile=profile if rules.convert_colour_profiles else None,
                turn=orientation(block),
                grey_bits=tiff.grey_bits(tags) if tags else 16,
                is_inverted=bool(tags) and tiff.is_inverted(tags),
                ignore_blank_alpha=kind is BMP,
            ),
        )
        if box is not None:
            gif.clear_around(pixels, box)
        return pixels


def _check_head(body: Buffer, kind: Format, limits: ImageLimits) -> None:
    if kind is GIF:
        gif.check_blocks(body)
    elif kind is BMP:
        check_bitmap(body)
    elif kind is HEIC:
        heic.check_heic()
    elif kind is WEBP and (size := webp_size(body)) is not None:
        limits.check(*size)
