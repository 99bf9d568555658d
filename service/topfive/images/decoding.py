"""Turns bytes into UINT8 [N, H, W, 3] RGB: checks the limits first, then decodes by stated rules.

What lives here: views of raw pixels, and the choice of a file's decoder. What does not: decoders (`images.files`), and
resizing, which a graph does. docs/images.md says how each kind of file is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.images.files.exif import orientation
from topfive.images.files.formats import JPEG, SERVED, SNIFFED_BYTES, refusal, sniff
from topfive.images.files.jpeg import decode_jpeg
from topfive.images.files.jpeg_structure import JpegHead, read_head
from topfive.images.files.limits import USUAL_RULES, Buffer, DecodingRules, ImageLimits
from topfive.images.files.modes import array_to_rgb
from topfive.images.files.pillow_files import decode_with_pillow

__all__ = [
    "ANY_IMAGE",
    "ENCODED_MEDIA_TYPES",
    "USUAL_RULES",
    "DecodingRules",
    "ImageLimits",
    "RawShape",
    "decode",
    "view_raw",
]

ENCODED_MEDIA_TYPES: Final = tuple(kind.media_type for kind in SERVED if kind.media_type)
"""The media types of the formats that every installation decodes. They are only documented: a client may send any."""
ANY_IMAGE: Final = "image/*"


@dataclass(frozen=True, slots=True)
class RawShape:
    """The declared content of a raw body: `count` images of `height` x `width` RGB pixels."""

    height: int
    width: int
    count: int

    @property
    def nbytes(self) -> int:
        """The exact length of the body."""
        return self.count * self.height * self.width * 3

    def check(self, limits: ImageLimits) -> None:
        """Raise `MalformedRequest` or `TooLarge` if images of this shape are not accepted."""
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


def decode(
    body: Buffer,
    limits: ImageLimits,
    rules: DecodingRules = USUAL_RULES,
    *,
    head: JpegHead | None = None,
    short_side: int = 0,
) -> NDArray[np.uint8]:
    """Decode one image to UINT8 [1, H, W, 3] RGB; its first bytes tell its format.

    `head`: of a JPEG whose head was read already. `short_side`: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size if
    its short side keeps so many pixels; 0: never. The limits are those of the full size.

    Raises `UndecodableImage`, `UnsupportedMediaType` or `TooLarge`.
    """
    if head is not None:
        return _decode_jpeg(body, head, limits, rules, short_side)[np.newaxis]
    begin = memoryview(body)[:SNIFFED_BYTES]
    found = sniff(begin)
    if found is None or not found.is_served:
        raise refusal(begin, found)
    if found is JPEG:
        return _decode_jpeg(body, read_head(body), limits, rules, short_side)[np.newaxis]
    return decode_with_pillow(body, found, limits, rules)[np.newaxis]


def _decode_jpeg(
    body: Buffer, head: JpegHead, limits: ImageLimits, rules: DecodingRules, short_side: int
) -> NDArray[np.uint8]:
    limits.check(head.height, head.width)
    pixels = decode_jpeg(body, head, allow_damaged=rules.allow_damaged_images, short_side=short_side)
    profile = head.icc if rules.convert_colour_profiles else None
    return array_to_rgb(pixels, len(head.components), profile, orientation(head.exif))
