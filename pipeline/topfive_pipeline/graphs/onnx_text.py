"""Graphs as ONNX text, put together from parts: each has lines, and the constants that they need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import onnx.parser

OPSET: Final = 19
"""Triton and ONNX Runtime of 2023 and later know it, and every operator that is used here."""
IR_VERSION: Final = 9
"""The IR version of that opset."""


@dataclass(frozen=True, slots=True)
class Part:
    """Lines of ONNX text; `constants` are the values, as text, by type and name: `int64[2] crop` to `224, 224`."""

    lines: str
    constants: dict[str, str] = field(default_factory=dict)


def vector(*values: float) -> str:
    """Values as the text of a constant, floats to their last bit."""
    return ", ".join(repr(value) for value in values)


def model(parts: Iterable[Part], *, name: str, inputs: str, outputs: str) -> onnx.ModelProto:
    """The graph `name` made of `parts`, one after the other; `inputs` and `outputs` as in `uint8[N, H, W, 3] image`."""
    lines: list[str] = []
    constants: dict[str, str] = {}
    for part in parts:
        lines.append(part.lines)
        constants |= part.constants
    values = ", ".join(f"{declared} = {{{value}}}" for declared, value in constants.items())
    text = (
        f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>\n'
        f"graph ({inputs}) => ({outputs})\n<{values}>\n{{\n{''.join(lines)}}}\n"
    )
    parsed: Any = onnx.parser.parse_model(text)
    parsed.graph.name = name  # in the text it could not begin with a digit, or have a point
    return parsed
