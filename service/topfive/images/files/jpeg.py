"""Decodes JPEG files, and finds out from libjpeg's warnings whether the data are whole.

libjpeg decodes anything: where data are missing or damaged, it makes pixels up and only warns. Pillow silences those
warnings; simplejpeg, another binding of the same library, raises them. Some warnings are about harmless things. A file
with such a warning is mended and decoded again, so that a warning about its data is not missed.
"""

from __future__ import annotations

import io
import re
from typing import Final

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from topfive.ground.errors import UndecodableImage
from topfive.images.files.jpeg_structure import APP0, APP14, EOI, SOS, JpegHead, check_scans
from topfive.images.files.limits import Buffer

_CMYK: Final = 4
_WHOLE: Final = 8
_REDUCED: Final = (4, 2, 1)
"""Eighths of its size at which libjpeg-turbo decodes faster than at full size; the others take twice as long."""
_END: Final = bytes((0xFF, EOI))
_EXTRANEOUS: Final = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_BLANK: Final = re.compile(rb"[\x00\xff]*\Z")
_STAND_IN: Final = b"\xff\x00" * 16
"""Bytes after the data for libjpeg to look ahead at; if it took them for data, they would make up only a few blocks."""
_HARMLESS: Final = (
    "Premature end of JPEG file",
    "extraneous bytes before marker",
    "JFIF revision",
    "Adobe color transform",
    "Invalid SOS parameters",
)
"""Warnings of libjpeg about files whose pixels may be whole; decoding the `_mended` file shows whether they are."""
_IS_ODD: Final = "subsampling"
"""In simplejpeg's error for sampling factors that its interface has no name for."""


def eighths(head: JpegHead, short_side: int) -> int:
    """In how many eighths of its size to decode: the fewest that leave `short_side` pixels, 8 if that is 0."""
    shorter = min(head.height, head.width)
    fitting = (size for size in reversed(_REDUCED) if short_side and -(-shorter * size // _WHOLE) >= short_side)
    return next(fitting, _WHOLE)


def decode_jpeg(body: Buffer, head: JpegHead, *, allow_damaged: bool, short_side: int = 0) -> NDArray[np.uint8]:
    """The pixels of `body`, whose `head` was read: [H, W, 3] RGB, or [H, W, 4] CMYK, where 255 is full ink.

    `short_side`: decode at 1/2, 1/4 or 1/8 of the size if at least so many pixels remain; 0: at full size.

    Raises `UndecodableImage` if data are missing or damaged, unless `allow_damaged`.
    """
    missing = check_scans(body, head) if _has_scans(body, head) else None
    if missing is not None and not allow_damaged:
        raise _damaged(missing)
    try:
        return _decoded(body, head, short_side, strict=True)
    except ValueError as error:
        reason = str(error)
    if _IS_ODD in reason:
        return _decoded_by_pillow(body, head)
    if any(warning in reason for warning in _HARMLESS):
        body = _mended(body, head, reason)
        try:
            return _decoded(body, head, short_side, strict=True)
        except ValueError as error:
            reason = str(error)
    if not allow_damaged:
        raise _damaged(reason)
    try:
        return _decoded(body, head, short_side, strict=False)
    except ValueError as error:
        raise UndecodableImage(f"the JPEG is damaged beyond reading: {error}; send the file as it was") from error


def _has_scans(body: Buffer, head: JpegHead) -> bool:
    """Whether the file has several scans, because the first does not hold everything."""
    return head.is_progressive or body[head.segments[-1].content] < len(head.components)


def _decoded(body: Buffer, head: JpegHead, short_side: int, *, strict: bool) -> NDArray[np.uint8]:
    size = eighths(head, short_side)
    least = {}
    if size < _WHOLE:  # simplejpeg takes the smallest size that has these
        least = {"min_height": -(-head.height * size // _WHOLE), "min_width": -(-head.width * size // _WHOLE)}
    if len(head.components) != _CMYK:
        rgb: NDArray[np.uint8] = simplejpeg.decode_jpeg(body, "RGB", strict=strict, **least)
        return rgb
    ink: NDArray[np.uint8] = simplejpeg.decode_jpeg(body, "CMYK", strict=strict, **least)
    np.invert(ink, out=ink)  # in the file 0 is full ink: all programs write it as Adobe does
    return ink


def _decoded_by_pillow(body: Buffer, head: JpegHead) -> NDArray[np.uint8]:
    """Decode with Pillow, from a file with `_STAND_IN` in place of its end marker; damage in the middle goes unnoticed.

    At the marker libjpeg would make missing data up; without it, it asks for them, and Pillow reports them missing.
    """
    data = bytes(body)
    start = head.segments[-1].end
    end = data.find(_END, start)
    if not _has_scans(body, head):
        data = data[: len(data) if end < 0 else end] + _STAND_IN
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            image.load()
            return np.asarray(image if image.mode == "CMYK" else image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise _damaged(str(error)) from error


def _mended(body: Buffer, head: JpegHead, warning: str) -> bytes:
    """`body` with an end marker, and without the things that libjpeg warns of although they do not harm the pixels."""
    parts = [b"\xff\xd8"]
    for segment in head.segments:
        whole = bytes(body[segment.begin : segment.end])
        if segment.marker == SOS:
            parts.append(whole if head.is_progressive else whole[:-3] + b"\0\x3f\0")  # it must name all coefficients
        elif segment.marker == APP14 and whole[4:9] == b"Adobe" and len(whole) >= 16:
            known = whole[15] <= 2
            transform = whole[15] if known else {3: 1, _CMYK: 2}.get(len(head.components), 0)
            parts.append(whole[:15] + bytes((transform,)) + whole[16:])
        elif segment.marker == APP0 and whole[4:9] == b"JFIF\0":
            parts.append(whole[:9] + b"\1" + whole[10:])
        elif not 0xE0 <= segment.marker <= 0xFE:  # libjpeg ignores other application segments
            parts.append(whole)
    data = bytes(body[head.segments[-1].end :])
    extraneous = _EXTRANEOUS.search(warning)
    end = data.find(_END)
    if extraneous and end >= 0:
        start = max(0, end - int(extraneous[1]))
        if _BLANK.match(data, start, end):
            data = data[:start] + data[end:]
    return b"".join((*parts, data, b"" if end >= 0 else _END))


def _damaged(reason: str) -> UndecodableImage:
    return UndecodableImage(
        f"the JPEG is damaged or cut short: {reason}; send the whole file, or ask the operator for allow_damaged_images"
    )
