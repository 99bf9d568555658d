"""GIF: puts the first frame on its canvas, and bounds the blocks before it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from topfive.ground.errors import UndecodableImage
from topfive.images.files.limits import Buffer

_SCREEN_BYTES: Final = 13
_MAX_BLOCKS: Final = 65_536
"""The most blocks before the first frame, and the most parts of one block; a megabyte of comments has four thousand."""


def check_blocks(body: Buffer) -> None:
    """Raise `UndecodableImage` if more blocks come before the first frame than any program writes.

    Pillow would read them one by one.
    """
    at = _SCREEN_BYTES
    if len(body) < at:
        return
    if body[10] & 0x80:
        at += 3 << ((body[10] & 7) + 1)
    end = len(body)
    for _ in range(_MAX_BLOCKS):
        if at >= end or body[at] in b",;":
            return
        if body[at] != ord("!"):
            at += 1
            continue
        at += 2
        for _ in range(_MAX_BLOCKS):
            if at >= end:
                return
            size = body[at]
            at += size + 1
            if size == 0:
                break
        else:
            break
    raise UndecodableImage("the GIF has too many blocks before its first frame; save it without its comments")


def extent(image: Image.Image) -> tuple[int, int, int, int]:
    """The first frame's place on the canvas of an opened GIF: (left, top, right, bottom)."""
    left, top, right, bottom = image.tile[0].extents  # type: ignore[attr-defined]  # an ImageFile, which Image.open does not say
    return left, top, right, bottom


def clear_around(pixels: NDArray[np.uint8], box: tuple[int, int, int, int]) -> None:
    """Make the canvas of [H, W, 3] `pixels` white outside the first frame's `box`, as if it were transparent there."""
    left, top, right, bottom = box
    for outside in (pixels[:top], pixels[bottom:], pixels[top:bottom, :left], pixels[top:bottom, right:]):
        outside[...] = 255
