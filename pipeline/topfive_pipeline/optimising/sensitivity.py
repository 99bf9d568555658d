"""Which layers lose most by eight bits: each in turn is computed in floating point while all others stay quantised.

That is cheaper than quantising one at a time, for the graph of all others is the fast one, and it is what is decided
later: which layer should be left out first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import onnx

from topfive_pipeline.graphs.pruning import prune
from topfive_pipeline.optimising.bench import Bench, Pictures, Scores
from topfive_pipeline.optimising.measuring import distance, scores_of
from topfive_pipeline.optimising.source import Source, constants

_OWN = "sensitivity/"


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """A layer, and by how many dB the scores' SQNR rises if it alone is in floating point."""

    layer: str
    gain: float


def sensitivities(
    bench: Bench, model: Any, pictures: Pictures, reference: Scores, *, may_go_on: Callable[[], bool]
) -> list[Sensitivity]:
    """The layers of the quantised `model`, the most sensitive first, by the scores of `pictures`.

    `reference`: the source's scores of them. Only the layers that were reached while `may_go_on` was true.
    """
    source = bench.source
    layers = source.layers
    base = distance(scores_of(model, source.scores, pictures.crops), reference).sqnr
    found = []
    for done, layer in enumerate(layers):
        if not may_go_on():
            bench.warnings.append(f"the time was enough for the sensitivity of {done} of {len(layers)} layers (--time)")
            break
        bench.progress(f"sensitivity of layers, {done + 1} of {len(layers)}")
        scores = scores_of(left_in_float(model, source, layer), source.scores, pictures.crops)
        found.append(Sensitivity(layer, distance(scores, reference).sqnr - base))
    return sorted(found, key=lambda each: -each.gain)


def left_in_float(model: Any, source: Source, layer: str) -> Any:
    """The quantised `model` with the weights of `layer` as in `source`: to measure, not to serve.

    What it takes is rounded as before, for it is the output of another layer. What it puts out is not, unless an
    operator takes it that is quantised too.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    given = constants(source.model)
    original = next(node for node in source.model.graph.node if node.name == layer)
    node = next(node for node in result.graph.node if node.name == layer)
    for place, name in enumerate(original.input):
        if name in given:
            # The tool may have given the old name to what it made of the old value.
            node.input[place] = f"{_OWN}{name}"
            result.graph.initializer.append(given[name])
            result.graph.initializer[-1].name = node.input[place]
    _restore_output(result, source, original.output[0])
    prune(result.graph, [output.name for output in result.graph.output])
    return result


def _restore_output(model: Any, source: Source, value: str) -> None:
    """Let those take `value` as it is who take it rounded only because of who made it."""
    rounded = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    restored = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    back = restored.get(rounded.get(value, ""))
    takers = [node for node in model.graph.node if back is not None and back in node.input]
    still_quantised = {name for name, made in rounded.items()}
    for node in takers:
        if not set(node.output) & still_quantised and node.name not in source.layers:
            for place, name in enumerate(node.input):
                if name == back:
                    node.input[place] = value
