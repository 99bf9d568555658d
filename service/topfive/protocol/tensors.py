"""Tensors as the protocol's bytes and JSON: little-endian, row by row; in BYTES, each element after a uint32 length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final, TypeVar

from topfive.backends.base import Row
from topfive.ground.errors import BackendFailure, MalformedRequest
from topfive.ground.types import WIRE_DTYPES, TensorSpec
from topfive.images.files.base64_text import decoded

T = TypeVar("T", bytes, memoryview)

_LENGTH_BYTES: Final = 4


def to_bytes(spec: TensorSpec, rows: Sequence[Row]) -> bytes:
    """The output `spec` of all `rows` as one binary tensor."""
    if spec.datatype == "BYTES":
        return b"".join(_element(text) for row in rows for text in row[spec.name].flat)
    dtype = WIRE_DTYPES[spec.datatype]
    return b"".join(row[spec.name].astype(dtype, copy=False).tobytes() for row in rows)


def to_json(spec: TensorSpec, rows: Sequence[Row]) -> list[Any]:
    """The output `spec` of all `rows` as a flat list; an FP32 becomes the double of exactly the same value."""
    return list(chain.from_iterable(row[spec.name].ravel().tolist() for row in rows))


def shape_of(spec: TensorSpec, rows: Sequence[Row]) -> list[int]:
    """The shape of that tensor, images first; raises `BackendFailure` if the shapes of the rows differ."""
    first = rows[0][spec.name].shape
    if -1 in spec.shape[1:] and any(row[spec.name].shape != first for row in rows):
        raise BackendFailure(f"the output '{spec.name}' differs in shape from image to image; ask for one at a time")
    return [len(rows), *first]


@lru_cache(maxsize=4096)
def _element(text: str) -> bytes:
    """A label as a BYTES element, cached: models have few labels, and answer with them over and over."""
    data = text.encode()
    return len(data).to_bytes(4, "little") + data


def bytes_of_numbers(data: Any, *, name: str, expected: int, has_booleans: bool) -> bytes:
    """`data`, a flat or nested list of numbers from 0 to 255, as a UINT8 tensor of `expected` elements.

    `has_booleans`: whether the JSON may hold booleans, which Python would take for numbers. Raises `MalformedRequest`.
    """
    if not isinstance(data, list):
        raise MalformedRequest(f"the data of input '{name}' must be a list of numbers")
    try:
        while data and isinstance(data[0], list):
            if set(map(type, data)) != {list}:  # chain() would drop an empty object or string
                raise TypeError("lists and other things stand side by side")
            data = list(chain.from_iterable(data))
        if has_booleans and any(type(number) is bool for number in data):
            raise TypeError("a boolean is no number")
        pixels = bytes(data)
    except (TypeError, ValueError) as error:
        raise MalformedRequest(
            f"the data of input '{name}' must be whole numbers from 0 to 255, flat or nested evenly: {error}"
        ) from error
    if len(pixels) != expected:
        raise MalformedRequest(
            f"the data of input '{name}' has {len(pixels)} numbers, but its shape needs {expected}; send one for each "
            "pixel and channel"
        )
    return pixels


def files_of_bytes(data: memoryview, *, name: str, count: int) -> list[memoryview]:
    """The `count` elements of a binary BYTES tensor, as views of it; raises `MalformedRequest`."""
    elements: list[memoryview] = []
    at = 0
    for index in range(count):
        begin = at + _LENGTH_BYTES
        length = int.from_bytes(data[at:begin], "little")
        at = begin + length
        if at > len(data):
            raise MalformedRequest(
                f"element {index} of input '{name}' is cut short: at byte {begin - _LENGTH_BYTES} of {len(data)} there "
                "must be its length, as a little-endian uint32, and then that many bytes"
            )
        elements.append(data[begin:at])
    if at < len(data):
        raise MalformedRequest(
            f"input '{name}' has {len(data) - at} bytes after its last element; its shape says that it has {count}"
        )
    return none_empty(elements, name)


def files_of_strings(data: Any, *, name: str, count: int) -> list[bytes]:
    """`data`, a flat or nested list of base64 strings, as image files; raises `MalformedRequest`.

    Base64, because JSON's strings are text and image files are not.
    """
    while isinstance(data, list) and data and all(isinstance(entry, list) for entry in data):
        data = list(chain.from_iterable(data))
    if not isinstance(data, list) or not all(isinstance(entry, str) for entry in data):
        raise MalformedRequest(
            f"the data of input '{name}' must be a list of strings, each an image file in base64; send the files "
            "themselves as a binary tensor (binary_data_size)"
        )
    check_files(len(data), name=name, count=count)
    return none_empty(
        [decoded(text, name=f"element {index} of input '{name}'") for index, text in enumerate(data)], name
    )


def check_files(given: int, *, name: str, count: int) -> None:
    """Raise `MalformedRequest` unless the number of elements `given` is the `count` of the shape."""
    if given != count:
        raise MalformedRequest(f"the data of input '{name}' has {given} elements, but its shape needs {count}")


def none_empty(files: list[T], name: str) -> list[T]:
    """`files`; raises `MalformedRequest` if one of them is empty."""
    for index, file in enumerate(files):
        if not len(file):
            raise MalformedRequest(f"element {index} of input '{name}' is empty; send an image file in it")
    return files
