"""Undoes how exporters write `as_strided`: a row of all numbers, of which each is gathered by its place.

PyTorch writes a pooling over channels that lie last so (torchvision's ConvNeXt): `Reshape` to [-1], then a `Gather` by
a constant of places, which holds those of one image only. Where the numbers keep their order, it is a `Reshape`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

from topfive_pipeline.graphs.nodes import attribute, constants


def gathers_as_reshapes(graph: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Change `graph` in place; `shapes` are those of its values for one image."""
    known = constants(graph)
    for node in graph.node:
        if node.op_type != "Gather" or attribute(node, "axis", 0) not in {0, -1}:
            continue
        length, places = shapes.get(node.input[0], ()), known.get(node.input[1])
        if len(length) != 1 or places is None or node.input[0] in known:
            continue
        found = onnx.numpy_helper.to_array(places)
        if found.ndim > 1 and np.array_equal(found.reshape(-1), np.arange(length[0])):
            target = f"{node.output[0]}/shape"
            graph.initializer.append(onnx.numpy_helper.from_array(np.array(found.shape, np.int64), target))
            node.op_type = "Reshape"
            node.input[1] = target
            del node.attribute[:]
