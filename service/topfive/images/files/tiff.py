"""Checks a TIFF's first page before its pixels are read, because the format can announce nearly anything.

What lives here: bounds on directories, strips and tiles, and the kinds that are refused by name. What does not: pixels.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Final

from topfive.ground.errors import UndecodableImage, UnsupportedMediaType
from topfive.images.files.limits import Buffer

_MAX_ENTRIES: Final = 512
_MAX_TAG_BYTES: Final = 16 << 20
_MAX_PIECES: Final = 65_536
"""The most strips or tiles."""
_BYTES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_NUMBERS: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}

_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIPS, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _SUBFILES = 273, 322, 323, 324, 330
_PLANES, _SAMPLE_FORMAT, _DNG = 284, 339, 0xC612
_OLD_JPEG: Final = 6
_SEPARATE: Final = 2
_READ: Final = (
    _SUBFILE,
    _WIDTH,
    _HEIGHT,
    _BITS,
    _COMPRESSION,
    _PHOTOMETRIC,
    _TILE_WIDTH,
    _TILE_HEIGHT,
    _PLANES,
    _SAMPLE_FORMAT,
)
_UNSIGNED: Final = (1, 4)
_FILTERED: Final = (32803, 34892)
"""Values of a camera's raw data: what its sensor saw through colour filters, which is not an image yet."""

Tags = dict[int, tuple[int, ...]]


def check_tiff(body: Buffer, check_size: Callable[[int, int], None]) -> Tags:
    """The tags of the first page, with their numbers if they are among `_READ`.

    Raises `UndecodableImage` or `UnsupportedMediaType`, which say why, or what `check_size(height, width)` raises.
    """
    try:
        tags, pieces = _read(memoryview(body))
    except struct.error:
        raise UndecodableImage("the TIFF is damaged or cut short: its directory is not all there") from None
    if (
        _DNG in tags
        or (_first(tags, _SUBFILE, 0) & 1 and _SUBFILES in tags)
        or _first(tags, _PHOTOMETRIC, 0) in _FILTERED
    ):
        raise UnsupportedMediaType(
            "the body looks like a camera's raw file (DNG, NEF, ARW or the like), which is not served; send JPEG"
        )
    height, width = _first(tags, _HEIGHT, 0), _first(tags, _WIDTH, 0)
    if height < 1 or width < 1:
        raise UndecodableImage("the TIFF does not state its size; it is damaged, or no image")
    check_size(height, width)
    if _TILES in tags:
        check_size(_first(tags, _TILE_HEIGHT, 0), _first(tags, _TILE_WIDTH, 0))
    if pieces > _MAX_PIECES:
        raise UndecodableImage(
            f"the TIFF has {pieces} strips or tiles; at most {_MAX_PIECES} are read: save it with larger"
        )
    if _first(tags, _COMPRESSION, 1) == _OLD_JPEG:
        raise _not_served("JPEG of the old style (compression 6)")
    if any(kind not in _UNSIGNED for kind in tags.get(_SAMPLE_FORMAT, ())):
        raise _not_served("samples that are signed or floating-point, of which only you know the range")
    if any(bits > 16 for bits in tags.get(_BITS, ())):
        raise _not_served("samples of more than 16 bits, of which only you know the range")
    if _first(tags, _PLANES, 1) == _SEPARATE and any(bits > 8 for bits in tags.get(_BITS, ())):
        raise _not_served("samples of more than 8 bits in separate planes")
    return tags


def grey_bits(tags: Tags) -> int:
    """The bits of a sample; samples of 9 to 16 bits take 16 bits in memory."""
    return _first(tags, _BITS, 1)


def is_inverted(tags: Tags) -> bool:
    """Whether zero is white."""
    return _first(tags, _PHOTOMETRIC, 1) == 0


def _read(view: memoryview) -> tuple[Tags, int]:
    """The tags in the first directory, with numbers for those of `_READ`, and how many strips or tiles it lists."""
    order = "<" if bytes(view[:2]) == b"II" else ">"
    is_big = struct.unpack_from(f"{order}H", view, 2)[0] == 43
    begin, many, entry = ("Q", "Q", "HHQ8s") if is_big else ("I", "H", "HHI4s")
    (directory,) = struct.unpack_from(order + begin, view, 8 if is_big else 4)
    if directory > len(view):
        raise struct.error
    (entries,) = struct.unpack_from(order + many, view, directory)
    if entries > _MAX_ENTRIES:
        raise UndecodableImage(f"the TIFF's directory has {entries} entries; at most {_MAX_ENTRIES} are read")
    at = directory + struct.calcsize(order + many)
    tags: Tags = {}
    pieces = total = 0
    for _ in range(entries):
        tag, kind, count, value = struct.unpack_from(order + entry, view, at)
        at += struct.calcsize(order + entry)
        total += count * _BYTES.get(kind, 1)
        if tag in (_STRIPS, _TILES):
            pieces = max(pieces, count)
        is_read = tag in _READ and kind in _NUMBERS and count <= 8
        tags[tag] = _numbers(view, f"{order}{count}{_NUMBERS[kind]}", value, order + begin) if is_read else ()
    if total > _MAX_TAG_BYTES:
        raise UndecodableImage(f"the TIFF's tags hold {total} bytes; at most {_MAX_TAG_BYTES} are read")
    return tags, pieces


def _numbers(view: memoryview, form: str, value: bytes, begin: str) -> tuple[int, ...]:
    if struct.calcsize(form) <= len(value):
        return struct.unpack_from(form, value)
    (offset,) = struct.unpack(begin, value)
    if offset > len(view):
        raise struct.error
    return struct.unpack_from(form, view, offset)


def _first(tags: Tags, tag: int, default: int) -> int:
    return next(iter(tags.get(tag, ())), default)


def _not_served(what: str) -> UndecodableImage:
    return UndecodableImage(f"the TIFF has {what}; this is not decoded: save it with 8 bits a sample, or as PNG")
