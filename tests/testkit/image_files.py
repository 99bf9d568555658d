"""Image files made by hand, and by Pillow: of kinds that no library writes, and with what tests put into them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]


def encode(image: Image.Image | Pixels, kind: str, /, **options: Any) -> bytes:
    """The file that Pillow writes of `image`."""
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(samples: NDArray[Any], colour_type: int, *extra: bytes, data: bytes | None = None, size: int = 0) -> bytes:
    """A PNG file of `samples` [H, W, C] with chunks `extra`; `data` replaces the compressed rows, `size` the size."""
    height, width = (size, size) if size else samples.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, 8 * samples.itemsize, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in samples.astype(samples.dtype.newbyteorder(">")))
    body = chunk(b"IDAT", zlib.compress(rows) if data is None else data)
    return b"".join([b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", head), *extra, body, chunk(b"IEND", b"")])


def exif(orientation: int, *, kind: int = 3) -> bytes:
    """An EXIF block with one entry, whose type is `kind` (3 is a 16-bit number)."""
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHIHxxI", 1, 0x0112, kind, 1, orientation, 0)


def bitmap(
    rows: bytes,
    size: tuple[int, int],
    bits: int,
    *,
    compression: int = 0,
    masks: tuple[int, ...] = (),
    header_bytes: int = 40,
    palette: bytes = b"",
) -> bytes:
    """A BMP file of stored `rows`; a negative height stands for rows from the top."""
    height, width = size
    head = struct.pack("<IiiHHIIiiII", header_bytes, width, height, 1, bits, compression, len(rows), 0, 0, 0, 0)
    head += struct.pack(f"<{len(masks)}I", *masks)
    head += bytes(max(0, header_bytes - len(head))) + palette
    offset = 14 + len(head)
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + head + rows


def _profile(space: bytes, kind: bytes, connection: bytes, tags: list[tuple[bytes, bytes]]) -> bytes:
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags:
        table += name + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(">I", start + len(body)) + b"test" + struct.pack(">I", 0x02400000) + kind + space + connection
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def _xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(value * 256))


def rgb_profile(*primaries: tuple[float, float, float], gamma: float = 2.2) -> bytes:
    """An RGB profile of three primaries (as XYZ under D50), those of Display P3 unless given."""
    red, green, blue = primaries or (
        (0.51512, 0.2412, -0.00105),
        (0.29198, 0.69225, 0.04189),
        (0.1571, 0.06657, 0.78407),
    )
    tags = [
        (b"wtpt", _xyz(0.9642, 1.0, 0.8249)),
        (b"rXYZ", _xyz(*red)),
        (b"gXYZ", _xyz(*green)),
        (b"bXYZ", _xyz(*blue)),
    ]
    return _profile(
        b"RGB ", b"mntr", b"XYZ ", [*tags, *((name, _gamma(gamma)) for name in (b"rTRC", b"gTRC", b"bTRC"))]
    )


SRGB_PRIMARIES = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))


def grey_profile(gamma: float) -> bytes:
    """A profile of grey, of that gamma."""
    return _profile(b"GRAY", b"mntr", b"XYZ ", [(b"wtpt", _xyz(0.9642, 1.0, 0.8249)), (b"kTRC", _gamma(gamma))])


def ink_profile(lightness: float) -> bytes:
    """A CMYK profile by which cyan ink is a grey of that CIE lightness (0 to 100), no ink white, all else black."""
    corners = b"".join(bytes(({0: 255, 8: round(lightness * 2.55)}.get(inks, 0), 128, 128)) for inks in range(16))
    ramp = bytes(range(256))
    head = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    table = head + ramp * 4 + corners + ramp * 3
    return _profile(b"CMYK", b"prtr", b"Lab ", [(b"wtpt", _xyz(0.9642, 1.0, 0.8249)), (b"A2B0", table)])
