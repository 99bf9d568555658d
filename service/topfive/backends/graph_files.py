"""Explains why a graph's file cannot be loaded, and what to do, because the runtime's own errors seldom help."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from topfive.ground.next_steps import import_command

_HEAD_BYTES: Final = 64
_EXPORT: Final = f"export the model to ONNX, then {import_command()} makes a servable model of it"
_OTHERS: Final = (
    (b"version https://git-lfs", "it is the pointer that Git LFS leaves in place of a file; run `git lfs pull`"),
    (b"PK\x03\x04", "it is a zip archive, as PyTorch's files are; " + _EXPORT),
    (b"\x80\x02", "it is a Python pickle, as PyTorch's old files are; " + _EXPORT),
    (b"\x89HDF", "it is an HDF5 file, as Keras' are; " + _EXPORT),
    (b"\x1f\x8b", "it is compressed with gzip; unpack it"),
    (b"<", "it is a web page or other markup, as a failed download leaves; fetch it again"),
)
_OTHER_FILE: Final = re.compile(r"external.?data|ExtData", re.IGNORECASE)
_NAMED: Final = re.compile(r'does not exist: "([^"]+)"|External data path: "([^"]+)"')


def why_not_loaded(path: Path, error: Exception) -> str:
    """What is wrong with the file at `path`, for which the runtime raised `error`."""
    said = str(error)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as unreadable:
        return f"it cannot be read ({unreadable.strerror}); let the service's user read it"
    if size == 0:
        return "it is empty (0 bytes); copy it again, or run the export again"
    for mark, what in _OTHERS:
        if head.startswith(mark):
            return what
    if _OTHER_FILE.search(said):
        named = _NAMED.search(said)
        other = f", '{named[1] or named[2]}'," if named else ""
        return (
            f"its weights are in another file{other} which is missing or cut short; copy it too, into the folder of "
            f"the graph, under the name that it had at the export ({said})"
        )
    if "rotobuf" in said:
        return (
            f"it is no ONNX file, or damaged or cut short ({size} bytes); compare it with its original and copy it "
            f"again ({said})"
        )
    return said
