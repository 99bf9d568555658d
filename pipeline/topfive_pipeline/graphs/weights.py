"""Weights that lie in other files beside a graph (ONNX's external data): found, checked and taken into the graph.

What does not live here: where they are written in the end (`entry`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Final

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.nodes import graphs_in, nodes_in

LARGEST_MESSAGE: Final = 2_000_000_000
"""Bytes that a graph may have with its weights inside: protobuf's limit is 2 GiB - 1, and head and tail come on top."""


External = Mapping[str, Path]
"""The files that hold a graph's weights, by the names that the graph has for them, relative to its folder."""


def take_in(model: Any, path: Path) -> External:
    """Load the external weights of `model`, read from `path`, into it; return the files that must stay external.

    These are none, unless the graph would become larger than `LARGEST_MESSAGE`; then the tensors keep pointing to
    files, which must be copied into the folder of the written graph under the same names.

    Raises `ConfigurationError` if a file is missing, cut short, or outside the folder of the graph.
    """
    total = path.stat().st_size
    files: dict[str, Path] = {}
    external = _external(model)
    for tensor in external:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        file = _inside(location, path)
        offset, length = (_number(entries.get(key, "0"), path) for key in ("offset", "length"))
        size = file.stat().st_size
        if offset + length > size:
            raise ConfigurationError(
                f"{path}: its weights are in '{location}', which is cut short: it has {size} bytes, and the tensor "
                f"'{tensor.name}' ends at {offset + length}; copy that file again"
            )
        total += length or size - offset
        files[location] = file
    if total > LARGEST_MESSAGE:
        return files
    for tensor in external:
        _load(tensor, files)
    return {}


def linked(model: Any, path: Path) -> External:
    """The files of the external weights of `model`, read from `path`, if any is a link, as in Hugging Face's cache."""
    locations = {entry.value for each in _external(model) for entry in each.external_data if entry.key == "location"}
    files = {location: _inside(location, path) for location in sorted(locations)}
    return files if any(file.is_symlink() for file in files.values()) else {}


def _external(model: Any) -> list[Any]:
    return [tensor for tensor in _tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL]


def _number(text: str, path: Path) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise ConfigurationError(f"{path}: it does not say where its weights are: {text[:40]!r} is no place in a file")
    return int(text)


def _load(tensor: Any, files: External) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    with files[entries["location"]].open("rb") as file:
        file.seek(int(entries.get("offset", 0)))
        tensor.raw_data = file.read(int(entries.get("length", 0)) or -1)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _inside(location: str, path: Path) -> Path:
    """The file `location`, which must lie in the folder of the graph at `path`."""
    names = (PurePosixPath(location), PureWindowsPath(location))
    leads_out = any(name.is_absolute() or name.drive or ".." in name.parts for name in names)
    file = (
        path.parent / location
    )  # a link may lead anywhere: whoever made it meant it, as the cache of Hugging Face does
    if leads_out or not location:
        raise ConfigurationError(
            f"{path}: its weights are said to be in '{location}', which is outside the folder of the graph; put that "
            "file beside the graph and export again, or save the graph anew by onnx.save with save_as_external_data"
        )
    if not file.is_file():
        raise ConfigurationError(
            f"{path}: its weights are in another file, '{location}', which is missing; copy it too, into the folder of "
            "the graph, under the name that it had at the export"
        )
    return file


def _tensors(model: Any) -> Iterator[Any]:
    """All tensors that `model` stores."""
    for graph in graphs_in(model.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield sparse.values
            yield sparse.indices
    for node in nodes_in(model):
        for entry in node.attribute:
            if entry.HasField("t"):
                yield entry.t
            yield from entry.tensors
