"""Takes a PNG file apart: a smaller file with size, pixels and palette for Pillow, the EXIF block, and the profile.

What lives here: walking the chunks, within bounds, and their checksums. Text and animations, which may be large, are
left out, and so are ancillary chunks whose checksum is wrong. A missing end chunk is added, and a last chunk that is
cut short is closed: the compression of the pixels shows whether any are missing.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Final

from topfive.ground.errors import UndecodableImage
from topfive.images.files.colour import MAX_PROFILE_BYTES
from topfive.images.files.limits import Buffer

_SIGNATURE_BYTES: Final = 8
_FRAME_BYTES: Final = 12
"""Bytes of a chunk beside its content: its length, kind and checksum."""
_MAX_CHUNKS: Final = 100_000
_MAX_NAME_BYTES: Final = 79
_KEPT: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT")
_END: Final = b"\0\0\0\0IEND\xae\x42\x60\x82"


@dataclass(frozen=True, slots=True)
class PngParts:
    """The parts of a PNG; `data` is a PNG file of only those chunks that make the first picture."""

    data: bytes
    height: int
    width: int
    exif: bytes | None
    icc: bytes | None


def read_png(body: Buffer) -> PngParts:
    """The parts of the PNG in `body`; raises `UndecodableImage` if a chunk that is needed is damaged."""
    view = memoryview(body)
    parts: list[bytes | memoryview] = [view[:_SIGNATURE_BYTES]]
    extra: dict[bytes, memoryview] = {}
    at, chunks = _SIGNATURE_BYTES, 0
    while at + 8 <= len(view):
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise UndecodableImage(f"the PNG has more than {_MAX_CHUNKS} chunks; save it anew")
        length, kind = struct.unpack_from(">I4s", view, at)
        end = at + _FRAME_BYTES + length
        if kind == b"IEND":
            break
        content = view[at + 8 : end - 4]
        if kind in _KEPT:
            parts.extend(_checked(kind, content, view[at:end], is_whole=end <= len(view)))
        elif kind in (b"eXIf", b"iCCP") and end <= len(view) and _is_true(view[at:end]):
            extra.setdefault(kind, content)
        elif not kind[0] & 0x20:
            raise UndecodableImage(
                f"the PNG has a chunk that is not known, {kind!r}; it is damaged, or of a special kind"
            )
        at = end
    if len(parts) < 2 or bytes(parts[1][4:8]) != b"IHDR" or len(parts[1]) < 16:
        raise UndecodableImage("the PNG does not begin with its header; send the whole file")
    width, height = struct.unpack_from(">II", parts[1], 8)
    exif = bytes(extra[b"eXIf"]) if b"eXIf" in extra else None
    return PngParts(b"".join((*parts, _END)), height, width, exif, _profile(extra.get(b"iCCP")))


def _checked(kind: bytes, content: memoryview, chunk: memoryview, *, is_whole: bool) -> list[bytes | memoryview]:
    """The chunk as it is; if it is cut short, what is there of it, with a new length and checksum."""
    if is_whole:
        if not _is_true(chunk):
            raise UndecodableImage(f"the PNG is damaged: the checksum of its {kind.decode()} chunk is wrong")
        return [chunk]
    if kind != b"IDAT":
        raise UndecodableImage(f"the PNG is cut short in its {kind.decode()} chunk; send the whole file")
    return [struct.pack(">I4s", len(content), kind), content, struct.pack(">I", zlib.crc32(content, zlib.crc32(kind)))]


def _is_true(chunk: memoryview) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _profile(content: memoryview | None) -> bytes | None:
    """The profile in an iCCP chunk; None if it is damaged, or larger than `MAX_PROFILE_BYTES`."""
    if content is None:
        return None
    name_end = bytes(content[: _MAX_NAME_BYTES + 1]).find(b"\0")
    if name_end < 0 or bytes(content[name_end + 1 : name_end + 2]) != b"\0":
        return None
    inflater = zlib.decompressobj()
    try:
        profile = inflater.decompress(content[name_end + 2 :], MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return profile if inflater.eof else None
