"""The price of an image: what preparing it may cost, in seconds and peak bytes, estimated from its first bytes.

What lives here: the measured costs of each format, and how a file's image size is found. What does not: decoding,
limits, and what an image really took (`request.preparing.lane` learns that).

Costs were measured on one core of a 2.x GHz x86-64 server, on photos and noise of one megapixel, with the resize that
follows. A price decides which job goes first and where it is decoded, so no price may be far too low.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from topfive.ground.drift import RAW
from topfive.ground.errors import TopfiveError
from topfive.images.files.formats import AVIF, BMP, GIF, HEIC, JPEG, PNG, SNIFFED_BYTES, TIFF, WEBP, Format, sniff
from topfive.images.files.headers import is_run_length, webp_size
from topfive.images.files.jpeg import eighths
from topfive.images.files.jpeg_structure import JpegHead, read_head
from topfive.images.files.limits import Buffer, ImageLimits
from topfive.images.files.tiff import check_tiff

_LOOKED_AT: Final = 1 << 18
"""The size is looked for in so many first bytes only: this runs on the event loop and must be quick."""
_RESIZE: Final = 8e-9
"""Seconds per pixel that the per-image graph takes."""
_RESIZE_BYTES: Final = 5
"""Bytes per pixel that the per-image graph takes."""
_FILE_COPIES: Final = 3
"""How many copies of the file there are while it is decoded."""
_PROGRESSIVE: Final = "progressive JPEG"
_RUN_LENGTH: Final = "run-length BMP"


class _Cost(NamedTuple):
    """`pixel`: seconds per pixel; `byte`: seconds per byte of the file; `peak`: bytes per pixel at the peak."""

    pixel: float
    byte: float
    peak: int


_COSTS: Final = {
    RAW: _Cost(0.0, 0.0, 0),
    JPEG.name: _Cost(2.5e-9, 8e-9, 8),
    _PROGRESSIVE: _Cost(5e-9, 35e-9, 14),
    PNG.name: _Cost(30e-9, 10e-9, 9),
    WEBP.name: _Cost(40e-9, 5e-9, 18),
    GIF.name: _Cost(6e-9, 50e-9, 8),
    BMP.name: _Cost(4e-9, 1e-9, 8),
    _RUN_LENGTH: _Cost(400e-9, 1e-9, 8),
    AVIF.name: _Cost(20e-9, 20e-9, 13),
    HEIC.name: _Cost(20e-9, 20e-9, 13),
    TIFF.name: _Cost(25e-9, 10e-9, 10),
}


_MAY_LIE: Final = (GIF, AVIF, HEIC, TIFF)
"""Formats whose image data may have another size than the one found here."""
_DEAR_SECONDS: Final = 0.03


@dataclass(frozen=True, slots=True)
class Price:
    """What one image may cost: `seconds` of one core, and `nbytes` of memory while it is prepared.

    `is_dear`: whether it costs too much for the light lane. `head`: the head of a JPEG, if it was read. `short_side`:
    the least short side at which a JPEG may be decoded smaller, 0 for never. `form`, `pixels`: what the image is,
    not what it costs: its format, one of `FORMAT_NAMES`, and the size of a JPEG, whose pixels may be decoded to fewer;
    0 if its first bytes do not tell it, and of all else, which is decoded as it is.
    """

    kind: str
    seconds: float
    nbytes: int
    is_dear: bool
    head: JpegHead | None = field(default=None, repr=False, compare=False)
    short_side: int = 0
    form: str = field(default=RAW, compare=False)
    pixels: int = field(default=0, compare=False)


_FREE: Final = Price("none", 0.0, 0, is_dear=False)


def raw_price(pixels: int) -> Price:
    """The price of raw pixels, which only have to be resized."""
    seconds = pixels * _RESIZE
    return Price(RAW, seconds, pixels * _RESIZE_BYTES, is_dear=seconds > _DEAR_SECONDS)


def price_of(body: Buffer, limits: ImageLimits, *, short_side: int = 0) -> Price:
    """The price of an image file: of the largest accepted image if the size is not found, nothing for a damaged file.

    A file of a format or size that is not accepted is not refused here: decoding begins with that check. `short_side`:
    as `images.decoding.decode` takes it.
    """
    kind = sniff(memoryview(body)[:SNIFFED_BYTES])
    if kind is None or not kind.is_served:
        return _FREE
    name, size, head = kind.name, None, None
    try:
        if kind is JPEG:
            head = read_head(memoryview(body)[:_LOOKED_AT])
            name, size = (_PROGRESSIVE if head.is_progressive else name), (head.height, head.width)
        else:
            name, size = (_RUN_LENGTH if kind is BMP and is_run_length(body) else name), _size(body, kind)
    except TopfiveError:  # the file is damaged, or the size lies further back
        if len(body) <= _LOOKED_AT:
            return replace(_FREE, form=kind.short)
        name = _PROGRESSIVE if kind is JPEG else name
    pixels = limits.max_pixels if size is None else min(size[0] * size[1], limits.max_pixels)
    cost = _COSTS[name]
    side = eighths(head, short_side) / 8 if head is not None else 1.0
    made = 3 + _RESIZE_BYTES  # of each pixel that is decoded and resized; decoding and resizing run one after the other
    seconds = pixels * (cost.pixel * side + _RESIZE * side**2) + len(body) * cost.byte
    nbytes = int(pixels * (max(cost.peak, made) - made * (1 - side**2))) + _FILE_COPIES * len(body)
    is_dear = seconds > _DEAR_SECONDS or kind in _MAY_LIE
    sent = 0 if head is None else head.height * head.width
    return Price(name, seconds, nbytes, is_dear=is_dear, head=head, short_side=short_side, form=kind.short, pixels=sent)


def _size(body: Buffer, kind: Format) -> tuple[int, int] | None:
    """(height, width); None if the first bytes do not tell it."""
    head = bytes(body[:26])
    if kind is PNG and head[12:16] == b"IHDR":
        return int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
    if kind is WEBP:
        return webp_size(body)
    if kind is GIF:
        return int.from_bytes(head[8:10], "little"), int.from_bytes(head[6:8], "little")
    if kind is BMP:
        if head[14] == 12:
            return int.from_bytes(head[20:22], "little"), int.from_bytes(head[18:20], "little")
        return abs(int.from_bytes(head[22:26], "little", signed=True)), int.from_bytes(head[18:22], "little")
    if kind is TIFF:
        return _tiff_size(body)
    return _largest_extent(bytes(body[:_LOOKED_AT]))


def _tiff_size(body: Buffer) -> tuple[int, int] | None:
    found: list[tuple[int, int]] = []
    check_tiff(body, lambda height, width: found.append((height, width)))
    return found[0] if found else None


_EXTENT: Final = re.compile(rb"ispe\0\0\0\0(.{8})", re.DOTALL)


def _largest_extent(head: bytes) -> tuple[int, int] | None:
    """(height, width) of the largest image in an ISO base media file, which may also hold tiles and thumbnails."""
    sizes = [(int.from_bytes(box[4:8], "big"), int.from_bytes(box[:4], "big")) for box in _EXTENT.findall(head)]
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
