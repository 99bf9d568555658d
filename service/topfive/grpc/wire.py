"""Splits the bytes of a `ModelInferRequest` into its raw tensors, as views, and the rest.

protobuf's parser would copy every tensor twice, into its message and out of it, and a photo is most of its request. So
the fields are walked here, and only the rest goes to the parser. What lives here: protobuf's wire format. What does
not: what a request means (`grpc.codec`).
"""

from __future__ import annotations

from typing import Final, NamedTuple

from topfive.ground.errors import MalformedRequest

_RAW_INPUT_CONTENTS: Final = 7
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_MAX_FIELDS: Final = 1000
"""The most fields at a request's top level: far more than any has, and walked in less than a millisecond."""
_MAX_VARINT_BYTES: Final = 10


class Split(NamedTuple):
    """A message: the bytes without its raw tensors, and the raw tensors."""

    rest: bytes
    tensors: list[memoryview]


def split(message: bytes) -> Split:
    """The parts of `message`; raises `MalformedRequest` if it is no protobuf message, or has too many fields.

    The parser may still refuse the `rest`.
    """
    whole = memoryview(message)
    kept: list[memoryview] = []
    tensors: list[memoryview] = []
    at = kept_from = fields = 0
    while at < len(message):
        fields += 1
        if fields > _MAX_FIELDS:
            raise MalformedRequest(f"the message has more than {_MAX_FIELDS} fields; it cannot be a ModelInferRequest")
        tag, begin = _varint(message, at)
        begin, end = _extent(message, tag & 7, begin)
        if tag == _RAW_INPUT_CONTENTS << 3 | _DELIMITED:
            tensors.append(whole[begin:end])
            kept.append(whole[kept_from:at])
            kept_from = end
        at = end
    kept.append(whole[kept_from:])
    return Split(b"".join(kept), tensors)


def _extent(message: bytes, wire_type: int, at: int) -> tuple[int, int]:
    """Where the field's value at `at` begins and ends."""
    begin = at
    if wire_type == _DELIMITED:
        length, begin = _varint(message, at)
        end = begin + length
    elif wire_type == _VARINT:
        _, end = _varint(message, at)
    elif wire_type in (_FIXED32, _FIXED64):
        end = at + (4 if wire_type == _FIXED32 else 8)
    else:
        raise MalformedRequest(f"the message is not a ModelInferRequest: byte {at} begins what is no field of one")
    if end > len(message):
        raise MalformedRequest(f"the message is not a ModelInferRequest: its field at byte {at} is cut short")
    return begin, end


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    number = shift = 0
    for byte in message[at : at + _MAX_VARINT_BYTES]:
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise MalformedRequest(f"the message is not a ModelInferRequest: the number at byte {at} does not end")
