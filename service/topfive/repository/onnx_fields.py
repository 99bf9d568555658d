"""The fields of an ONNX file, which is one protobuf message (onnx.proto), without a copy and without reading weights.

What does not live here: what is looked for (`repository.precision`, `repository.graph_properties`).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Final

VARINT: Final = 0
BYTES: Final = 2
_FIXED64, _FIXED32 = 1, 5
"""Wire types of protobuf."""

Buffer = bytes | mmap.mmap


def messages(data: Buffer, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    """Where each value of the field `wanted` begins and ends."""
    for field, wire, value, after in fields(data, start, end):
        if field == wanted and wire == BYTES:
            yield value, after


def fields(data: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """For each field its number, its wire type, its value or where that begins, and where it ends."""
    while start < end:
        tag, start = varint(data, start)
        value, wire = start, tag & 7
        if wire == VARINT:
            value, start = varint(data, start)
        elif wire == BYTES:
            length, value = varint(data, start)
            start = value + length
        elif wire in (_FIXED64, _FIXED32):
            start += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"there is no wire type {wire}")
        if start > end:
            raise ValueError("a field ends after its message")
        yield tag >> 3, wire, value, start


def varint(data: Buffer, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends; raises `ValueError` or `IndexError` if none does."""
    value = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise ValueError("a number is longer than 64 bits")
