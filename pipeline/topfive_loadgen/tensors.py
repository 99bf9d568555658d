"""Reads inference answers of the Open Inference Protocol, with outputs in JSON or as binary tensors. Pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator
from typing import Any, Final

JSON_LENGTH: Final = "inference-header-content-length"
"""The header that says where the JSON ends and the tensors begin."""
_LENGTH_BYTES: Final = 4  # before each string of a binary tensor, little-endian


def split(body: bytes, json_length: str | None) -> tuple[Any, bytes]:
    """The JSON of an answer, and the binary tensors behind it; raises `ValueError` if it is malformed."""
    end = len(body) if json_length is None else int(json_length)
    return json.loads(body[:end]), body[end:]


def values(document: Any, binary: bytes, *, of: Collection[str]) -> dict[str, list[Any]]:
    """The elements of the outputs `of`, by name; raises `ValueError`, `KeyError` or `TypeError` if malformed."""
    found: dict[str, list[Any]] = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if output["name"] in of:
            data = output["data"] if size is None else _read(output.get("datatype", "BYTES"), binary[:size])
            found[output["name"]] = data
        binary = binary[size or 0 :]
    return found


def strings(tensor: bytes) -> Iterator[str]:
    """The elements of a binary BYTES tensor; raises `ValueError` where it ends within one."""
    while tensor:
        end = _LENGTH_BYTES + int.from_bytes(tensor[:_LENGTH_BYTES], "little")
        if not _LENGTH_BYTES <= end <= len(tensor):
            raise ValueError("the tensor ends within a string")
        yield tensor[_LENGTH_BYTES:end].decode()
        tensor = tensor[end:]


def _read(datatype: str, tensor: bytes) -> list[Any]:
    if datatype == "FP32":
        return [value for (value,) in struct.iter_unpack("<f", tensor)]
    return [*strings(tensor)]
