"""What a graph says of itself in ONNX's `metadata_props`, read from its file, whichever engine runs it.

What lives here: the text of one property. What does not: what it means; the service passes it on as it stands.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Final

from topfive.repository.onnx_fields import Buffer, messages

PREPROCESSING: Final = "preprocessing"
"""The property in which `topfive import` writes, as JSON, how a picture becomes the network's input."""
_MODEL_PROPERTIES: Final = 14
_KEY, _VALUE = 1, 2
"""The numbers, in onnx.proto, of the fields that are read."""
_MAX_BYTES: Final = 1 << 16


def property_of(path: Path, name: str) -> str:
    """The text of the property `name` of the graph in the file at `path`.

    Empty if it does not have one of at most 64 KiB, or the file cannot be read as a graph.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _property(data, name.encode())
    except (OSError, ValueError, IndexError):
        return ""


def _property(data: Buffer, name: bytes) -> str:
    for entry in messages(data, 0, len(data), _MODEL_PROPERTIES):
        keys = [data[start:end] for start, end in messages(data, *entry, _KEY)]
        values = [data[start:end] for start, end in messages(data, *entry, _VALUE) if end - start <= _MAX_BYTES]
        if keys == [name] and values:
            return values[-1].decode()
    return ""
