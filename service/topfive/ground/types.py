"""Values that several packages exchange: frozen, slotted, without behaviour."""

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
"""Open Inference datatypes and the numpy dtypes of their bytes on the wire, little-endian; BYTES has none."""


LET_GO: Final = "topfive.let_go"
"""Key in an HTTP request's scope, of a function that ends the request with 408 while its body is still coming."""

BEGAN: Final = "topfive.began"
"""In the scope of a request over HTTP, when the first byte of its head was read, in monotonic seconds."""

TENANT: Final = "topfive.tenant"
"""In the scope of a request over HTTP, the tenant whose key it came with."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A tensor's name, Open Inference datatype (`BYTES`, or one of `WIRE_DTYPES`) and shape.

    The batch dimension comes first in the shape; -1 means any size.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds that each stage of a request took; `queue_seconds` is all its waiting, for a thread and for a batch."""

    decode_seconds: float
    resize_seconds: float
    queue_seconds: float
    inference_seconds: float


@dataclass(frozen=True, slots=True)
class LookedUp:
    """What the answer cache had for a request of so many `images`: `hits` of them; it took `seconds` to find them."""

    images: int
    hits: int
    seconds: float

    @property
    def is_whole(self) -> bool:
        """Whether it had all, so that nothing ran."""
        return self.hits == self.images


@dataclass(frozen=True, slots=True)
class Fill:
    """How full a batcher is: its waiting images and their bound, their bytes, its busy slots and their bound."""

    items: int
    max_items: int
    nbytes: int
    busy_slots: int
    slots: int
