"""The orientation in an image's EXIF block, and the turn that it demands; nothing else of the block is read.

As in browsers, the orientation is one 16-bit number in the first directory. XMP is ignored, even if it says otherwise;
a damaged block counts as no block.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
from numpy.typing import NDArray

_HEAD: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_SHORT: Final = 3
_ENTRY_BYTES: Final = 12
_MAX_ENTRIES: Final = 1024
UPRIGHT: Final = 1
_ORIENTATIONS: Final = range(1, 9)


def orientation(block: bytes | None) -> int:
    """The orientation, 1 to 8, that the EXIF `block` states; 1 (upright) if it states none."""
    if block is None:
        return UPRIGHT
    block = block.removeprefix(_HEAD)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return UPRIGHT
    try:
        (directory,) = struct.unpack_from(f"{order}I", block, 4)
        (entries,) = struct.unpack_from(f"{order}H", block, directory)
        for index in range(min(entries, _MAX_ENTRIES)):
            at = directory + 2 + index * _ENTRY_BYTES
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", block, at)
            if tag == _ORIENTATION:
                is_valid = kind == _SHORT and count == 1 and value in _ORIENTATIONS
                return int(value) if is_valid else UPRIGHT
    except struct.error:  # the block is shorter than it announces
        pass
    return UPRIGHT


def empty_turned(height: int, width: int, value: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An empty array for the upright image, [H, W, 3], and a view of it with the file's rows and columns.

    `height` and `width` are those in the file; `value` is the orientation.
    """
    swaps = value >= 5  # 5 to 8 exchange rows and columns
    pixels = np.empty((width, height, 3) if swaps else (height, width, 3), np.uint8)
    view = pixels
    if value in (2, 3, 6, 7):
        view = view[:, ::-1]
    if value in (3, 4, 7, 8):
        view = view[::-1]
    return pixels, view.swapaxes(0, 1) if swaps else view
