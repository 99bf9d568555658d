"""Tells how a network's input holds pixels: channels first, channels last or all in one row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.nodes import attribute
from topfive_pipeline.preprocessing.rules import Size

Layout = Literal["NCHW", "NHWC", "flat"]
"""`flat`: [N, height * width * channels], rows of pixels whose channels are together; or [N, height, width], grey."""
LayoutChoice = Literal["auto", "NCHW", "NHWC", "flat"]
_CHANNELS: Final = (1, 3)
"""How many channels a network may take: grey, or three colours."""
_KEEPING: Final = frozenset(
    {"Add", "Sub", "Mul", "Div", "Cast", "Identity", "BatchNormalization", "QuantizeLinear", "DequantizeLinear"}
)
"""Operators that may stand before the first one that tells a layout, and do not change it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The layout of an input and why; its channels, and height and width where they are fixed."""

    layout: Layout
    because: str
    channels: int
    size: Size | None


def taken_as(graph: Any, shape: Sequence[int | None], *, layout: LayoutChoice, where: str) -> Taken:
    """How the input of `graph` holds pixels; `where` describes it for a message.

    Raises `ConfigurationError` if it cannot be told, or if `layout`, unless `auto`, contradicts `shape`.
    """
    if len(shape) in {2, 3} and layout in {"auto", "flat"}:
        return _flat(shape, where)
    if len(shape) != 4 or layout == "flat":
        raise ConfigurationError(
            f"{where} cannot hold images: four dimensions are needed, [N,3,height,width] or [N,height,width,3], or two "
            "with --layout flat; export a network of single images"
        )
    first, because = (layout, "said") if layout != "auto" else _told(graph, shape)
    if first is None:
        raise ConfigurationError(f"{where} does not tell where its channels are; say --layout NCHW or --layout NHWC")
    channels, height, width = (shape[1], *shape[2:]) if first == "NCHW" else (shape[3], *shape[1:3])
    if channels is None:
        channels = _channels_of_first_convolution(graph) or 3
    if channels not in _CHANNELS:
        raise ConfigurationError(
            f"{where} has {channels} channels if it is {first}; images have 3, or 1 if grey; say --layout if it is "
            "another one, or export a network of such images"
        )
    size = (height, width) if height and width else None
    return Taken(layout="NCHW" if first == "NCHW" else "NHWC", because=because, channels=channels, size=size)


def _told(graph: Any, shape: Sequence[int | None]) -> tuple[LayoutChoice | None, str]:
    """The layout by the lengths of the dimensions, else by the first operator that has one."""
    _, second, third, last = shape
    first_ones, last_ones = second in _CHANNELS, last in _CHANNELS
    if first_ones and not last_ones:
        return "NCHW", f"its second dimension is {second}"
    if last_ones and not first_ones:
        return "NHWC", f"its last dimension is {last}"
    node = _first_telling(graph)
    if node is not None and node.op_type == "Conv":
        return "NCHW", "a convolution takes the input as it is"
    if node is not None and list(attribute(node, "perm", [])) == [0, 3, 1, 2]:
        return "NHWC", "the network begins by putting the last dimension second"
    if second is not None and last is not None and third == last and not first_ones:
        return "NCHW", "its last two dimensions are equal"
    return None, ""


def _first_telling(graph: Any) -> Any:
    """The first node on the input's way that is not an operator for single elements."""
    value = graph.input[0].name
    for node in graph.node:
        if value in node.input and node.op_type != "Shape":  # whose result is no image
            if node.op_type not in _KEEPING:
                return node
            value = node.output[0]
    return None


def _channels_of_first_convolution(graph: Any) -> int | None:
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            tensor = weights.get(node.input[1])
            return tensor.dims[1] * attribute(node, "group", 1) if tensor is not None else None
    return None


def _flat(shape: Sequence[int | None], where: str) -> Taken:
    if len(shape) == 3:
        height, width = shape[1:]
        size = (height, width) if height and width else None
        return Taken(layout="flat", because="it has no dimension for channels", channels=1, size=size)
    length = shape[1]
    if length is None:
        raise ConfigurationError(
            f"{where} does not tell how many pixels it takes; fix its second dimension at the export: height * width, "
            "times 3 if not grey"
        )
    for channels in _CHANNELS:
        side = math.isqrt(length // channels)
        if side * side * channels == length:
            because = f"it is a row of {length} numbers, {side} x {side}" + (" x 3" if channels == 3 else "")
            return Taken(layout="flat", because=because, channels=channels, size=(side, side))
    channels = 1 if length % 3 else 3
    return Taken(layout="flat", because=f"it is a row of {length} numbers", channels=channels, size=None)
