"""Checks the strips or tiles of a TIFF where libtiff does not: by the checksums of deflate and the warnings of JPEG.

With other compressions libtiff itself reports damage. The check decodes the pieces, so such a TIFF takes twice as long.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any, Final

import simplejpeg

from topfive.ground.errors import UndecodableImage
from topfive.images.files.jpeg_structure import read_head
from topfive.images.files.limits import Buffer, ImageLimits

_COMPRESSION, _TABLES = 259, 347
_PIECES: Final = ((273, 279), (324, 325))
"""The tags of the places and the lengths: of strips, and of tiles."""
_JPEG: Final = 7
_DEFLATE: Final = (8, 32946)
_AT_ONCE: Final = 1 << 20
_MOST_BYTES_A_PIXEL: Final = 8
_END: Final = b"\xff\xd9"


def check_pieces(body: Buffer, tags: Mapping[int, Any], limits: ImageLimits) -> None:
    """Raise `UndecodableImage` if a strip or tile is damaged; `tags` are as Pillow read them.

    The check ends after as many bytes as the largest image holds: a file may list the same bytes in many pieces.
    """
    compression = tags.get(_COMPRESSION, 1)
    if compression == _JPEG:
        _check_jpegs(_pieces(body, tags), bytes(tags.get(_TABLES, b"")), limits.max_pixels)
    elif compression in _DEFLATE:
        _check_deflated(_pieces(body, tags), limits.max_pixels * _MOST_BYTES_A_PIXEL)


def _pieces(body: Buffer, tags: Mapping[int, Any]) -> list[memoryview]:
    view = memoryview(body)
    for starts, lengths in _PIECES:
        if starts in tags and lengths in tags:
            return [view[start : start + length] for start, length in zip(tags[starts], tags[lengths], strict=False)]
    return []


def _check_deflated(pieces: list[memoryview], budget: int) -> None:
    for piece in pieces:
        inflater = zlib.decompressobj()
        rest: bytes | memoryview = piece
        while budget > 0:
            try:
                found = len(inflater.decompress(rest, _AT_ONCE))
            except zlib.error as error:
                raise UndecodableImage(f"the TIFF is damaged: {error}; send the file as it was written") from error
            rest = inflater.unconsumed_tail
            budget -= found
            if inflater.eof:
                break
            if not found and not rest:
                raise UndecodableImage(
                    "the TIFF is cut short: the data of a strip or tile end early; send the whole file"
                )


def _check_jpegs(pieces: list[memoryview], tables: bytes, budget: int) -> None:
    for piece in pieces:
        whole = b"".join((tables.removesuffix(_END) or b"\xff\xd8", piece[2:], _END))
        head = read_head(whole)
        budget -= head.height * head.width
        if budget < 0:
            return
        try:
            simplejpeg.decode_jpeg(whole, "CMYK" if len(head.components) == 4 else "RGB")
        except ValueError as error:
            if "subsampling" not in str(error):  # sampling factors that simplejpeg has no name for
                raise UndecodableImage(f"the TIFF is damaged: {error}; send the file as it was written") from error
