"""BMP files whose pixels are bit fields: masks in the file say where each colour is in 16 or 32 bits.

Pillow knows a dozen sets of masks and refuses all others; this module takes every mask whose bits are side by side.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from topfive.ground.errors import UndecodableImage
from topfive.images.files.limits import Buffer, ImageLimits

_SIZED: Final = 40
"""Bytes of the oldest header that says how pixels are stored."""
_WITH_ALPHA: Final = 56
"""Bytes of the shortest header that has a mask for alpha."""
_FIELDS, _FIELDS_WITH_ALPHA = 3, 6
_MASKS_AT: Final = 54
_TYPES: Final = {16: "<u2", 32: "<u4"}


def read_bitfields(body: Buffer, limits: ImageLimits) -> Image.Image | None:
    """The image in `body`, RGB or RGBA; None if its pixels are stored in another way.

    Raises `UndecodableImage` or `TooLarge`.
    """
    head = bytes(body[:70])
    if len(head) < 70:
        return None
    (offset, header_bytes, width, height, bits, compression) = struct.unpack_from("<IIii2xHI", head, 10)
    if header_bytes < _SIZED or bits not in _TYPES or compression not in (_FIELDS, _FIELDS_WITH_ALPHA):
        return None
    if width < 1 or height == 0:
        raise UndecodableImage(f"the BMP states a size of {height}x{width}; it is damaged")
    limits.check(abs(height), width)
    masks = struct.unpack_from("<4I", head, _MASKS_AT)
    has_alpha = header_bytes >= _WITH_ALPHA or compression == _FIELDS_WITH_ALPHA
    masks = masks if has_alpha and masks[3] else masks[:3]
    rows = _rows(body, offset, abs(height), width, bits)
    if height > 0:
        rows = rows[::-1]
    pixels = np.empty((*rows.shape, len(masks)), np.uint8)
    for index, mask in enumerate(masks):
        pixels[..., index] = _channel(rows, mask)
    return Image.fromarray(pixels)


def _rows(body: Buffer, offset: int, height: int, width: int, bits: int) -> NDArray[np.uint32] | NDArray[np.uint16]:
    """The stored numbers as [height, width], in the file's order of rows."""
    stride = (width * bits + 31) // 32 * 4
    if offset < _MASKS_AT or offset + (height - 1) * stride + width * bits // 8 > len(body):
        raise UndecodableImage("the BMP is cut short: rows of pixels are missing; send the whole file")
    data = memoryview(body)[offset : offset + height * stride]
    if len(data) < height * stride:
        data = memoryview(bytes(data).ljust(height * stride, b"\0"))  # the file leaves out the last row's padding
    rows: NDArray[np.uint32] = np.frombuffer(data, _TYPES[bits]).reshape(height, -1)[:, :width]
    return rows


def _channel(rows: NDArray[np.uint32] | NDArray[np.uint16], mask: int) -> NDArray[np.uint8]:
    """The bits of `mask` in each pixel, scaled to 0 to 255."""
    if mask == 0:
        return np.zeros(rows.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    most = mask >> shift
    if most & (most + 1):
        raise UndecodableImage(f"the BMP's mask {mask:#x} has gaps; save it with the usual ones, or as PNG")
    width = most.bit_length()
    if width == 8 and shift % 8 == 0:  # the colour is one whole byte, as nearly always
        octets: NDArray[np.uint8] = rows.view(np.uint8)[:, shift // 8 :: rows.itemsize]
        return octets
    if width >= 8:
        return ((rows & mask) >> (shift + width - 8)).astype(np.uint8)
    values = (rows & mask) >> shift
    return ((values.astype(np.uint16) * 255 + most // 2) // most).astype(np.uint8)
