"""The values that pass between layers: frozen, slotted, without behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WIRE_DTYPES: Final[Mapping[str, str]] = {
    "BOOL": "?",
    "UINT8": "u1",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
"""The Open Inference datatypes that are served, as numpy has them on the wire: little-endian. BYTES has no such."""


LET_GO: Final = "topfive.let_go"
"""In the scope of a request over HTTP, what ends it while its body is waited for: the client is told to be faster."""

BEGAN: Final = "topfive.began"
"""In the scope of a request over HTTP, when the first byte of its head was read, in monotonic seconds."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's name, Open Inference datatype (`BYTES`, or one of `WIRE_DTYPES`) and shape.

    The shape has the batch dimension first; -1 is any size.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a request's time went, in seconds; `queue_seconds` is all its waiting, for a thread and for a batch."""

    decode_seconds: float
    resize_seconds: float
    queue_seconds: float
    inference_seconds: float


@dataclass(frozen=True, slots=True)
class Fill:
    """How full a batcher is: the images that wait in it, their bytes, and its busy slots, each beside its bound."""

    items: int
    max_items: int
    nbytes: int
    busy_slots: int
    slots: int
