"""Joins head, network and tail into the graph that is served: `pixels` in; labels, probabilities and indices out."""

from __future__ import annotations

import math
from typing import Any, Final

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.head import PIXELS, Taker, add_head
from topfive_pipeline.graphs.naming import prefixed, rename
from topfive_pipeline.graphs.network import Network
from topfive_pipeline.graphs.nodes import Nodes
from topfive_pipeline.graphs.outputs import choose_output, classes_of, expose
from topfive_pipeline.graphs.pruning import prune
from topfive_pipeline.graphs.tail import (
    CLASSES,
    EMBEDDING,
    INDICES,
    PROBABILITIES,
    Ranking,
    Scored,
    add_embedding,
    add_tail,
)
from topfive_pipeline.preprocessing.rules import Preprocessing

_NETWORK: Final = "network/"
_HEAD: Final = "head/"
_TAIL: Final = "tail/"


def build(
    network: Network,
    *,
    rules: Preprocessing,
    ranking: Ranking,
    name: str,
    output: str | None = None,
    embedding: str | None = None,
) -> Any:
    """The ModelProto of the served graph called `name`, in the opset of `network`, whose batch must be free.

    `pixels` UINT8 [N,height,width,3] -> `classes` STRING [N,k], `probabilities` FP32 [N,k], `indices` INT64 [N,k] and,
    with `embedding`, the value of the network that has this name: `embedding` FP32 [N,d]. `output` names the scores.
    Where `network.external` has files, they belong beside the written graph.

    Raises `ConfigurationError` if rules, labels or names do not fit the network.
    """
    scores = choose_output(network, output, besides=embedding)
    if embedding is not None:
        network = expose(network, embedding)
    if network.batch is not None:
        raise ConfigurationError(f"the network takes {network.batch} images at once, always; free its batch first")
    _check_fit(network, rules)
    model = prefixed(network.model, _NETWORK)
    head = Nodes(opset=network.opset, prefix=_HEAD)
    taken = add_head(
        head, rules, Taker(dtype=network.input.dtype, layout=network.layout, rank=len(network.input.shape))
    )
    needed = [scores.name, *([embedding] if embedding is not None else [])]
    prune(model.graph, [_NETWORK + value for value in needed])
    rename(model.graph, {_NETWORK + network.input.name: taken})
    tail = Nodes(opset=network.opset, prefix=_TAIL)
    classes = classes_of(scores)
    scored = Scored(name=_NETWORK + scores.name, dtype=scores.dtype, rank=len(scores.shape), classes=classes)
    add_tail(tail, scored, ranking)
    outputs: list[tuple[str, int, list[str | int]]] = [
        (CLASSES, onnx.TensorProto.STRING, ["N", ranking.places]),
        (PROBABILITIES, onnx.TensorProto.FLOAT, ["N", ranking.places]),
        (INDICES, onnx.TensorProto.INT64, ["N", ranking.places]),
    ]
    if embedding is not None:
        value = next(value for value in network.outputs if value.name == embedding)
        add_embedding(tail, _NETWORK + embedding, dtype=value.dtype)
        length = math.prod(length or 1 for length in value.shape[1:])
        outputs.append((EMBEDDING, onnx.TensorProto.FLOAT, ["N", length]))
    graph = onnx.helper.make_graph(
        [*head.nodes, *model.graph.node, *tail.nodes],
        name,
        [onnx.helper.make_tensor_value_info(PIXELS, onnx.TensorProto.UINT8, ["N", *rules.crop, 3])],
        [onnx.helper.make_tensor_value_info(*declared) for declared in outputs],
        [*head.initialisers, *model.graph.initializer, *tail.initialisers],
        sparse_initializer=model.graph.sparse_initializer,
    )
    joined = onnx.helper.make_model(
        graph, ir_version=network.ir_version, opset_imports=model.opset_import, functions=model.functions
    )
    if not network.external:  # the checker would look for the files in the working directory
        try:
            onnx.checker.check_model(joined)
        except onnx.checker.ValidationError as error:  # the runtime is not as strict
            raise ConfigurationError(
                f"the network is no valid ONNX graph, though onnxruntime runs it: {error}; export it again"
            ) from error
    return joined


def serialised(model: Any) -> bytes:
    """The bytes of `model`, the same for the same graph."""
    return bytes(model.SerializeToString(deterministic=True))


def _check_fit(network: Network, rules: Preprocessing) -> None:
    if network.channels != rules.channels:
        colours = "grey pictures: say --colour grey" if network.channels == 1 else "colours: say --colour rgb or bgr"
        raise ConfigurationError(f"the network takes {colours}")
    if network.size not in {None, rules.crop}:
        height, width = network.size
        raise ConfigurationError(
            f"the network takes {height} x {width} pixels, and the crop is {rules.crop[0]} x {rules.crop[1]}; say "
            "--crop " + (str(height) if height == width else f"{height}x{width}")
        )
