"""Clients whose images are legal and cost far more to decode than to send.

Each kind is a function as in `nasty`. The service may do the work, or refuse it in its one shape of errors; nobody else
may pay for it, and it may not be the service's own fault (5xx).
"""

import io
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from random import Random
from typing import Final

from PIL import Image

from benchmarks.nasty import Nastiness, Victim
from benchmarks.nasty_messages import jpeg, post

SCANNED_SIDE = 4000
BANDS, HIGHEST_BIT = ((1, 16), (17, 32), (33, 48), (49, 63)), 13
ONE_COLOUR_SIDE = 5000
ROTATED_SIZE = (4000, 3000)
FILL_BYTES = 1 << 20
ORIENTATION, QUARTER_TURN = 0x0112, 6  # the EXIF entry, and that the image lies on its side
LONGEST_RUN, RUN_BITS = 32767, 14  # blocks that one symbol of a progressive scan may skip, and the bits of a long one


def _send(victim: Victim, chance: Random, *, make: Callable[[], bytes], media_type: str) -> Sequence[str]:
    return post(victim, f"/v1/classify?model={victim.model}", make(), Content_Type=media_type)


@cache
def many_scans() -> bytes:
    """A progressive JPEG of 16 megapixels in 33 kB: four bands, bit by bit, each scan through all blocks again.

    As the standard has it, every scan in order and none twice.
    """
    blocks = (-(-SCANNED_SIDE // 8)) ** 2
    runs = "".join(f"0{LONGEST_RUN - (1 << RUN_BITS):014b}" for _ in range(-(-blocks // LONGEST_RUN)))
    bits = [bit + (bit + 1 << 4) for bit in range(HIGHEST_BIT - 1, -1, -1)]  # each after the one above it
    scans = [_segment(0xDA, b"\1\1\0" + bytes((*band, bit))) for band in BANDS for bit in (HIGHEST_BIT, *bits)]
    data = _packed(runs)
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xDB, bytes(1) + bytes([1] * 64)),  # quantisation: none
            _segment(0xC2, struct.pack(">BHHBBBB", 8, SCANNED_SIDE, SCANNED_SIDE, 1, 1, 0x11, 0)),
            _segment(0xC4, b"\0\1" + bytes(15) + b"\0"),  # one code for DC: no difference
            _segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0"),  # one code for AC: so many blocks have nothing
            _segment(0xDA, b"\1\1\0" + bytes((0, 0, 0))) + _packed("0" * blocks),
            *(scan + data for scan in scans),
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _packed(bits: str) -> bytes:
    """Entropy-coded bits: the last byte is filled up with ones, and 0xFF is told from a marker."""
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


@cache
def one_colour() -> bytes:
    """A lossless WebP of 25 megapixels in 42 bytes: where a channel has one code, its pixels need no bits."""
    fields = [(ONE_COLOUR_SIDE - 1, 14), (ONE_COLOUR_SIDE - 1, 14), (0, 1), (0, 3)]  # the sides, no alpha, version 0
    fields += [(0, 1)] * 3  # neither transforms, nor a colour cache, nor codes that differ by region
    for symbol in (90, 120, 60, 255, 0):  # green, red, blue, alpha, distance
        fields += [(1, 1), (0, 1), (1, 1), (symbol, 8)]  # a simple code of one symbol, which has 8 bits
    bits = shift = 0
    for value, width in fields:
        bits |= value << shift
        shift += width
    stream = b"\x2f" + bits.to_bytes(-(-shift // 8) + 8, "little")
    stream += bytes(len(stream) % 2)
    chunk = b"WEBPVP8L" + struct.pack("<I", len(stream)) + stream
    return b"RIFF" + struct.pack("<I", len(chunk)) + chunk


@cache
def rotated() -> bytes:
    """An RGBA PNG of 12 megapixels that lies on its side: decoded, converted and turned, it is held three times."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = QUARTER_TURN
    Image.new("RGBA", ROTATED_SIZE, (60, 90, 120, 200)).save(file, "png", compress_level=1, exif=exif)
    return file.getvalue()


@cache
def filled() -> bytes:
    """A small JPEG with a megabyte of fill bytes before a marker, as many as the standard allows: any number."""
    return jpeg()[:2] + b"\xff" * FILL_BYTES + jpeg()[2:]


FILES: Final = {
    "JPEG of many scans": (many_scans, "image/jpeg"),
    "WebP of one colour": (one_colour, "image/webp"),
    "PNG on its side": (rotated, "image/png"),
    "JPEG of fill bytes": (filled, "image/jpeg"),
}
KINDS: Final[Mapping[str, Nastiness]] = {
    name: partial(_send, make=make, media_type=media_type) for name, (make, media_type) in FILES.items()
}
