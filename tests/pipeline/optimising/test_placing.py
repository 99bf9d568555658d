"""Rounded weights come into the graph, which then answers more nearly as before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.optimising import networks
from topfive.machine.cpu_features import dot_products_of_bytes
from topfive_pipeline.optimising.calibrated import Calibrated
from topfive_pipeline.optimising.machine import Kind, kinds
from topfive_pipeline.optimising.measuring import distance, scores_of
from topfive_pipeline.optimising.placing import place_weights
from topfive_pipeline.optimising.quantising import Recipe, quantised
from topfive_pipeline.optimising.rounding import Rounded
from topfive_pipeline.optimising.source import Source

RECIPE = Recipe(kind=kinds(("avx512_vnni",), machine="x86_64")[0], method="max")


def _values(model: Any) -> dict[str, Any]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


@pytest.mark.parametrize("kind", kinds(dot_products_of_bytes()), ids=lambda kind: kind.name)
def test_scores_are_nearer_than_with_nearest_numbers(kind: Kind, source: Source, calibrated: Calibrated) -> None:
    crops = networks.crops(24, seed=6)
    before = scores_of(source.model, source.scores, crops)
    placed, nearest = (
        distance(
            scores_of(
                quantised(source, calibrated, replace(RECIPE, kind=kind, rounding=rounding)), source.scores, crops
            ),
            before,
        ).sqnr
        for rounding in ("compensated", "nearest")
    )
    assert placed > nearest + 1


def test_layers_in_floating_point_keep_their_weights(source: Source, calibrated: Calibrated) -> None:
    model = quantised(source, calibrated, replace(RECIPE, floats=frozenset(source.layers)))
    before, after = _values(source.model), _values(model)
    for node in (node for node in model.graph.node if node.name in source.layers):
        assert (after[node.input[1]] == before[node.input[1]]).all()


def test_a_bias_has_no_more_levels_than_its_integers(source: Source, calibrated: Calibrated) -> None:
    """A channel whose weights are nearly nothing gets a larger step, and its bias is kept."""
    layer = source.layers[0]
    given = calibrated.weights[127][layer]
    assert given.bias is not None
    scale = given.scale.copy()
    scale[0, 0] = 1e-14
    model = quantised(source, calibrated, RECIPE)
    place_weights(model, {layer: Rounded(given.levels, scale, np.full_like(given.bias, 3))})
    values = _values(model)
    makers = {node.output[0]: node for node in model.graph.node}
    bias = makers[next(node for node in model.graph.node if node.name == layer).input[2]]
    assert values[bias.input[0]].astype(np.float64) * values[bias.input[1]] == pytest.approx(3, rel=1e-4)
