"""From bytes to UINT8 [N, H, W, 3] RGB: limits first, then decoding with stated rules.

What lives here: raw views and Pillow. What does not: resizing (a graph does that) and HTTP.

Rules for encoded images, applied in this order:

- the format is what the first bytes say; the first frame of an animation is taken;
- EXIF orientation is applied; a broken EXIF block counts as none;
- 16-bit grey keeps its high byte (as Pillow does for 16-bit colour); palette, grey, CMYK and YCbCr become RGB;
- alpha is composed over white, as a page shows it.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from service.decoding.formats import SERVED, SNIFFED_BYTES, refusal, sniff
from service.errors import MalformedRequest, TooLarge, UndecodableImage

# The limits below are ours, per service, and checked before decoding; Pillow's is one global that only warns.
Image.MAX_IMAGE_PIXELS = None

ENCODED_MEDIA_TYPES: Final = tuple(kind.media_type for kind in SERVED if kind.media_type)
"""Those of the formats that every installation decodes; what a client announces is a hint, and any will do."""
ANY_IMAGE: Final = "image/*"

_TRANSPOSITIONS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Largest image that is accepted: pixels of one image, pixels along one side, images in one request."""

    max_pixels: int
    max_dimension: int
    max_images: int

    def check(self, height: int, width: int) -> None:
        """Raise `TooLarge` if an image of that size may not come in."""
        if max(height, width) > self.max_dimension:
            raise TooLarge(f"the image is {height}x{width}; a side may have at most {self.max_dimension} pixels")
        if height * width > self.max_pixels:
            raise TooLarge(f"the image has {height * width} pixels; at most {self.max_pixels} are accepted")


@dataclass(frozen=True, slots=True)
class RawShape:
    """What a raw body is declared to hold: `count` images of `height` x `width` RGB pixels."""

    height: int
    width: int
    count: int

    @property
    def nbytes(self) -> int:
        """Exact length of the body."""
        return self.count * self.height * self.width * 3

    def check(self, limits: ImageLimits) -> None:
        """Raise `MalformedRequest` or `TooLarge` if this may not come in."""
        for name, value in (("height", self.height), ("width", self.width), ("count", self.count)):
            if value < 1:
                raise MalformedRequest(f"{name} is {value}; it must be at least 1")
        if self.count > limits.max_images:
            raise TooLarge(f"the request has {self.count} images; at most {limits.max_images} are accepted in one")
        limits.check(self.height, self.width)


def view_raw(body: bytes | bytearray | memoryview, shape: RawShape) -> NDArray[np.uint8]:
    """The body as UINT8 [count, height, width, 3], without a copy; raises `MalformedRequest` on a wrong length."""
    if len(body) != shape.nbytes:
        raise MalformedRequest(
            f"the body has {len(body)} bytes, but count*height*width*3 = {shape.count}*{shape.height}*{shape.width}*3 "
            f"= {shape.nbytes}; send uint8 RGB pixels, row by row"
        )
    return np.frombuffer(body, np.uint8).reshape(shape.count, shape.height, shape.width, 3)


@dataclass(frozen=True, slots=True)
class DecodingRules:
    """What an operator may choose about decoding: see the settings of the same names."""

    allow_damaged_images: bool = False
    convert_colour_profiles: bool = True


USUAL_RULES: Final = DecodingRules()
"""Those of a service that is told nothing else."""


def decode(
    body: bytes | bytearray | memoryview, limits: ImageLimits, rules: DecodingRules = USUAL_RULES
) -> NDArray[np.uint8]:
    """Decode one image to UINT8 [1, H, W, 3] RGB, whatever served format its first bytes show.

    Raises `UndecodableImage`, `UnsupportedMediaType` or `TooLarge`.
    """
    head = memoryview(body)[:SNIFFED_BYTES]
    found = sniff(head)
    if found is None or found.pillow is None:
        raise refusal(head, found)
    try:
        with Image.open(io.BytesIO(body), formats=(found.pillow,)) as image:
            limits.check(image.height, image.width)
            # Before the EXIF block is asked for: a PNG's is looked for behind the pixels, where damage to them would be
            # taken for damage to the block, and Pillow does not report it twice.
            image.load()
            rgb = _to_rgb(_upright(image))
            return np.asarray(rgb)[np.newaxis]
    except UnidentifiedImageError:
        raise UndecodableImage(f"the image begins like {found.name} and is damaged or cut short right there") from None
    except (
        *(OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, OverflowError, MemoryError),
        *(AssertionError, AttributeError, TypeError),
    ) as error:
        # Pillow's plug-ins raise any of these on damaged files.
        raise UndecodableImage(f"the image is damaged or cut short: {error}") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except (SyntaxError, ValueError, OSError, struct.error, TypeError, KeyError):
        orientation = 1
    transposition = _TRANSPOSITIONS.get(orientation) if isinstance(orientation, int) else None
    return image if transposition is None else image.transpose(transposition)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        coloured = image.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return Image.alpha_composite(white, coloured).convert("RGB")
    return image.convert("RGB")
