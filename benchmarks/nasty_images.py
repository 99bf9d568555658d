"""Clients whose images are legal, but cost far more to decode than to send.

Each kind is a function as in `nasty`. The service may answer, or refuse with an error in its own format. It must not
answer 5xx, and other clients must not be affected.
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
ORIENTATION, QUARTER_TURN = 0x0112, 6  # the EXIF tag, and its value for an image on its side
LONGEST_RUN, RUN_BITS = 32767, 14  # most blocks that one symbol of a progressive scan may skip, and its bits


def _send(victim: Victim, chance: Random, *, make: Callable[[], bytes], media_type: str) -> Sequence[str]:
    return post(victim, f"/v1/classify?model={victim.model}", make(), Content_Type=media_type)


@cache
def many_scans() -> bytes:
    """A progressive JPEG of 16 megapixels in 33 kB: four bands, bit by bit; each scan passes all blocks again.

    It follows the standard: the scans are in order, and none comes twice.
    """
    blocks = (-(-SCANNED_SIDE // 8)) ** 2
    runs = "".join(f"0{LONGEST_RUN - (1 << RUN_BITS):014b}" for _ in range(-(-blocks // LONGEST_RUN)))
    bits = [bit + (bit + 1 << 4) for bit in range(HIGHEST_BIT - 1, -1, -1)]  # from the highest bit down
    scans = [_segment(0xDA, b"\1\1\0" + bytes((*band, bit))) for band in BANDS for bit in (HIGHEST_BIT, *bits)]
    data = _packed(runs)
    return b"".join(
        (
            b"\xff\xd8",
            _segment(0xDB, bytes(1) + bytes([1] * 64)),  # quantisation: none
            _segment(0xC2, struct.pack(">BHHBBBB", 8, SCANNED_SIDE, SCANNED_SIDE, 1, 1, 0x11, 0)),
            _segment(0xC4, b"\0\1" + bytes(15) + b"\0"),  # one code for DC: no difference
            _segment(0xC4, b"\x10\1" + bytes(15) + b"\xe0"),  # one code for AC: a run of empty blocks
            _segment(0xDA, b"\1\1\0" + bytes((0, 0, 0))) + _packed("0" * blocks),
            *(scan + data for scan in scans),
            b"\xff\xd9",
        )
    )


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _packed(bits: str) -> bytes:
    """Entropy-coded bits as bytes: the last byte is filled up with ones, and 0xFF is escaped."""
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")


@cache
def one_colour() -> bytes:
    """A lossless WebP of 25 megapixels in 42 bytes: a channel with a single code needs no bits for its pixels."""
    fields = [(ONE_COLOUR_SIDE - 1, 14), (ONE_COLOUR_SIDE - 1, 14), (0, 1), (0, 3)]  # the sides, no alpha, version 0
    fields += [(0, 1)] * 3  # no transforms, no colour cache, no codes by region
    for symbol in (90, 120, 60, 255, 0):  # green, red, blue, alpha, distance
        fields += [(1, 1), (0, 1), (1, 1), (symbol, 8)]  # a simple code with one symbol of 8 bits
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
    """An RGBA PNG of 12 megapixels on its side: its pixels are held three times (decoded, converted, turned)."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = QUARTER_TURN
    Image.new("RGBA", ROTATED_SIZE, (60, 90, 120, 200)).save(file, "png", compress_level=1, exif=exif)
    return file.getvalue()


@cache
def filled() -> bytes:
    """A small JPEG with a megabyte of fill bytes before a marker; the standard allows any number."""
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
