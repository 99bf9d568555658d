"""Reads a JPEG file's markers: its kind and size, its EXIF block and profile, its scans.

What lives here: walking the markers, within bounds. What does not: pixels (`images.files.jpeg`).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from topfive.ground.errors import UndecodableImage
from topfive.images.files.limits import Buffer

_MAX_SEGMENTS: Final = 4096
"""The most segments before and between the scans; XMP of several megabytes takes some hundred."""
_MAX_SCANS: Final = 64
"""The most scans; encoders write about ten. Each covers the whole image: a small file with many would take minutes."""
_MAX_ICC_PARTS: Final = 255

SOI, EOI, SOS, APP0, APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xEE
_APP1, _APP2, _DHP, _LS, _TEM = 0xE1, 0xE2, 0xDE, 0xF7, 0x01
_NOT_FRAMES: Final = (0xC4, 0xC8, 0xCC)
_PROGRESSIVE: Final = 0xC2
_ALONE: Final = (_TEM, *range(0xD0, 0xD8))
_AC: Final = 0xFF_FF_FF_FF_FF_FF_FF_FE
"""Coefficients 1 to 63, one bit each."""

# A marker may follow any number of 0xFF. Only the last is matched: a pattern for all would start anew at each of them.
_NEXT: Final = re.compile(rb"\xff[^\x00\xff]", re.DOTALL)
_NEXT_IN_SCAN: Final = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]", re.DOTALL)
_WINDOW: Final = 1 << 18
"""Bytes that are searched in one step, during which no other thread runs."""


@dataclass(slots=True)
class Segment:
    """A marker segment: its 0xFF is at `begin`, its content lies from `content` to `end`."""

    marker: int
    begin: int
    content: int
    end: int


@dataclass(slots=True)
class JpegHead:
    """What the segments before the data say, of a JPEG of a kind that is decoded."""

    height: int = 0
    width: int = 0
    components: tuple[int, ...] = ()
    is_progressive: bool = False
    exif: bytes | None = None
    icc: bytes | None = None
    segments: list[Segment] = field(default_factory=list)
    """All segments before the data; the last is the header of the first scan."""


def read_head(body: Buffer) -> JpegHead:
    """Read up to the first scan; raises `UndecodableImage`, which names the kind of JPEG if it is not decoded."""
    head = JpegHead()
    profile: dict[int, bytes] = {}
    for segment in _segments(body, 2, _NEXT):
        marker = segment.marker
        head.segments.append(segment)
        if marker == SOS:
            if not head.components:
                raise UndecodableImage("the JPEG has no frame header before its data; send the whole file")
            head.icc = _joined(profile)
            return head
        if marker == _DHP:
            raise _not_served("a hierarchical JPEG")
        begin = bytes(body[segment.content : min(segment.end, segment.content + 15)])
        if (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAMES) or marker == _LS:
            _read_frame(head, marker, bytes(body[segment.content : segment.end]))
        elif marker == _APP1 and head.exif is None and begin.startswith(b"Exif\0\0"):
            head.exif = bytes(body[segment.content : segment.end])
        elif marker == _APP2 and begin.startswith(b"ICC_PROFILE\0") and len(begin) == 15:
            profile.setdefault(begin[12], bytes(body[segment.content : segment.end]))
    raise UndecodableImage("the JPEG ends before its image data; send the whole file")


def check_scans(body: Buffer, head: JpegHead) -> str | None:
    """A text that says what is missing in a JPEG with several scans; None if nothing is missing.

    Raises `UndecodableImage` if it has more scans than any encoder writes.
    """
    wanted = _AC | 1 if head.is_progressive else 1
    open_bits = dict.fromkeys(head.components, wanted)
    scans = 0
    for segment in _segments(body, head.segments[-1].begin, _NEXT_IN_SCAN):
        if segment.marker != SOS:
            continue
        scans += 1
        if scans > _MAX_SCANS:
            raise UndecodableImage(f"the JPEG has more than {_MAX_SCANS} scans; save it with the usual ten")
        content = bytes(body[segment.content : segment.end])
        count = content[0] if content else 0
        if len(content) < 4 + 2 * count:
            break
        start, end, approximation = content[1 + 2 * count : 4 + 2 * count]
        bits = (1 << (end + 1)) - (1 << start) if head.is_progressive and end < 64 else 1
        if not head.is_progressive or not approximation & 0x0F:
            for component in content[1 : 1 + 2 * count : 2]:
                open_bits[component] = open_bits.get(component, 0) & ~bits
    return "some of its scans are missing" if any(open_bits.values()) else None


def _segments(body: Buffer, at: int, pattern: re.Pattern[bytes]) -> Iterator[Segment]:
    """The marker segments from `at` to the end marker, or to the end of `body`; bytes between them are skipped."""
    for _ in range(_MAX_SEGMENTS):
        found = _find(pattern, body, at)
        if found is None:
            return
        marker, at = body[found.end() - 1], found.end()
        if marker == EOI:
            return
        if marker in _ALONE:
            continue
        if marker == SOI:
            raise UndecodableImage("the JPEG has a second beginning before its data; send one image")
        length = int.from_bytes(body[at : at + 2], "big")
        if length < 2 or at + length > len(body):  # the length includes its own two bytes
            raise UndecodableImage("the JPEG is damaged or cut short between its markers; send the whole file")
        yield Segment(marker, found.end() - 2, at + 2, at + length)
        at += length
        # A scan's data follow its header; in the data, 0xFF comes only before a zero or as a restart marker.
        pattern = _NEXT_IN_SCAN if marker == SOS else pattern
    raise UndecodableImage(f"the JPEG has more than {_MAX_SEGMENTS} segments; save it without its metadata")


def _find(pattern: re.Pattern[bytes], body: Buffer, at: int) -> re.Match[bytes] | None:
    """The first match of `pattern`, which is two bytes long, from `at` on."""
    while at < len(body):
        if (found := pattern.search(body, at, at + _WINDOW)) is not None:
            return found
        at += _WINDOW - 1
    return None


def _read_frame(head: JpegHead, marker: int, content: bytes) -> None:
    if marker == _LS:
        raise _not_served("a JPEG-LS")
    if len(content) < 6 or len(content) < 6 + 3 * content[5]:
        raise UndecodableImage("the JPEG's frame header is damaged; send the file as it was written")
    precision, height, width, count = struct.unpack_from(">BHHB", content)
    if marker in (0xC3, 0xC7, 0xCB, 0xCF):
        raise _not_served("a lossless JPEG")
    if marker in (0xC5, 0xC6, 0xCD, 0xCE):
        raise _not_served("a hierarchical JPEG")
    if marker in (0xC9, 0xCA):
        raise _not_served("a JPEG with arithmetic coding")
    if precision != 8:
        raise _not_served(f"a JPEG of {precision} bits a sample")
    if height == 0:
        raise _not_served("a JPEG that states its height after its data (DNL)")
    if width == 0 or count not in (1, 3, 4):
        raise _not_served(f"a JPEG of width {width} with {count} components")
    if head.components:
        raise UndecodableImage("the JPEG has two frame headers; send one image")
    head.height, head.width = height, width
    head.is_progressive = marker == _PROGRESSIVE
    head.components = tuple(content[6 : 6 + 3 * count : 3])


def _joined(parts: dict[int, bytes]) -> bytes | None:
    """The profile, joined from its numbered parts; None if some are missing, because it is damaged then."""
    if not parts or len(parts) > _MAX_ICC_PARTS:
        return None
    total = next(iter(parts.values()))[13]
    if sorted(parts) != list(range(1, total + 1)):
        return None
    return b"".join(parts[number][14:] for number in sorted(parts))


def _not_served(kind: str) -> UndecodableImage:
    return UndecodableImage(
        f"the image is {kind}, which is not decoded; save it as a usual (8-bit, Huffman) JPEG or PNG"
    )
