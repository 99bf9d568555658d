"""Reads the sizes in WebP and BMP headers before Pillow opens a file: they bound the memory or time that it takes."""

from __future__ import annotations

from typing import Final

from topfive.ground.errors import TooLarge
from topfive.images.files.limits import Buffer

_RUN_LENGTHS: Final = (1, 2)
_MAX_RUN_LENGTH_PIXELS: Final = 4_000_000
"""The most run-length encoded pixels: Pillow reads them run by run, in Python, and so many may take a second."""


def webp_size(body: Buffer) -> tuple[int, int] | None:
    """(height, width) of a WebP's canvas; None if the header is damaged."""
    head = bytes(body[:30])
    kind = head[12:16]
    if len(head) < 30:
        return None
    if kind == b"VP8X":
        return int.from_bytes(head[27:30], "little") + 1, int.from_bytes(head[24:27], "little") + 1
    if kind == b"VP8 ":
        return int.from_bytes(head[28:30], "little") & 0x3FFF, int.from_bytes(head[26:28], "little") & 0x3FFF
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1
    return None


def is_run_length(body: Buffer) -> bool:
    """Whether a BMP is run-length encoded."""
    head = bytes(body[:34])
    return int.from_bytes(head[14:18], "little") >= 40 and int.from_bytes(head[30:34], "little") in _RUN_LENGTHS


def check_bitmap(body: Buffer) -> None:
    """Raise `TooLarge` for a run-length encoded BMP that would take too long."""
    if not is_run_length(body):
        return
    head = bytes(body[:34])
    width, height = (int.from_bytes(head[at : at + 4], "little", signed=True) for at in (18, 22))
    if abs(width * height) > _MAX_RUN_LENGTH_PIXELS:
        raise TooLarge(
            f"the BMP has {abs(width * height)} run-length encoded pixels; at most {_MAX_RUN_LENGTH_PIXELS} are "
            "accepted; save it without compression, or as PNG"
        )
