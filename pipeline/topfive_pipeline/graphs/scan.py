"""Runs a network of one image over a batch by ONNX's `Scan`, image by image: slow, but right for any network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.naming import prefixed
from topfive_pipeline.graphs.network import Network, Value
from topfive_pipeline.graphs.nodes import Nodes
from topfive_pipeline.graphs.pruning import prune

_PREFIX: Final = "scan/"
_SCAN_OVER_BATCHES: Final = 9
"""The opset whose Scan has no batch dimension of its own."""


def scanned(network: Network) -> Any:
    """The ModelProto of `network`, which takes one image, around a `Scan` over a batch of any size.

    Raises `ConfigurationError` if the opset is too old for that.
    """
    if network.opset < _SCAN_OVER_BATCHES:
        raise ConfigurationError(
            f"the network takes one image at once, and in its opset {network.opset} no loop can be put around it; "
            "export it again with a batch dimension that is free, or with opset 13 or later"
        )
    # A value has one name in a graph and in what is inside it: the network's own names stay outside.
    body = prefixed(network.model, f"{_PREFIX}network/")
    prune(body.graph, [output.name for output in body.graph.output])
    inner, taken = body.graph, network.model.graph.input[0].type.tensor_type
    before, after = (Nodes(opset=network.opset, prefix=f"{_PREFIX}{part}/") for part in ("before", "after"))
    image = before.named("image")
    before.over_axes("Unsqueeze", image, [0], to=inner.input[0].name)
    rows = [after.over_axes("Squeeze", output.name, [0]) for output in inner.output]
    pixels = [dim.dim_value or None for dim in taken.shape.dim][1:]
    kinds = [(output.type.tensor_type.elem_type, value.shape[1:]) for output, value in _outputs(network)]
    image_by_image = onnx.helper.make_graph(
        [*before.nodes, *inner.node, *after.nodes],
        "image_by_image",
        [onnx.helper.make_tensor_value_info(image, taken.elem_type, pixels)],
        [onnx.helper.make_tensor_value_info(row, *kind) for row, kind in zip(rows, kinds, strict=True)],
        [*inner.initializer, *before.initialisers, *after.initialisers],
        sparse_initializer=inner.sparse_initializer,
    )
    names = [value.name for value in network.outputs]
    scan = onnx.helper.make_node(
        "Scan", [network.input.name], names, name=f"{_PREFIX}images", body=image_by_image, num_scan_inputs=1
    )
    graph = onnx.helper.make_graph(
        [scan],
        network.model.graph.name,
        [onnx.helper.make_tensor_value_info(network.input.name, taken.elem_type, ["N", *pixels])],
        [
            onnx.helper.make_tensor_value_info(name, element, ["N", *row])
            for name, (element, row) in zip(names, kinds, strict=True)
        ],
    )
    return onnx.helper.make_model(
        graph, ir_version=network.ir_version, opset_imports=body.opset_import, functions=body.functions
    )


def _outputs(network: Network) -> Iterator[tuple[Any, Value]]:
    return zip(network.model.graph.output, network.outputs, strict=True)
