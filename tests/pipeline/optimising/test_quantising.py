"""What the quantised graph is, and that it answers nearly as before."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.graphs.networks import outputs
from tests.pipeline.optimising import networks
from topfive_pipeline.optimising.calibrated import Calibrated
from topfive_pipeline.optimising.machine import Kind, kinds
from topfive_pipeline.optimising.quantising import Recipe, quantised
from topfive_pipeline.optimising.source import Source

MIXED, SIGNED, UNSIGNED = kinds(("avx512_vnni",), machine="x86_64")


def _types(model: Any) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def _answers(model: Any) -> dict[str, Any]:
    return outputs(model, pixels=np.stack(networks.crops(16, seed=8)))


@pytest.mark.parametrize("kind", [MIXED, SIGNED, UNSIGNED], ids=lambda kind: kind.name)
@pytest.mark.parametrize("scope", ["all", "layers"])
def test_answers_are_nearly_the_same(kind: Kind, scope: Any, source: Source, calibrated: Calibrated) -> None:
    before, after = (
        _answers(model)
        for model in (source.model, quantised(source, calibrated, Recipe(kind=kind, method="max", scope=scope)))
    )
    assert {name: array.shape for name, array in before.items()} == {name: each.shape for name, each in after.items()}
    assert np.abs(before["probabilities"] - after["probabilities"]).max() < 0.1
    assert (before["indices"][:, 0] == after["indices"][:, 0]).mean() > 0.8


def test_weights_are_symmetric_and_have_a_scale_for_each_channel(source: Source, calibrated: Calibrated) -> None:
    model = quantised(source, calibrated, Recipe(kind=MIXED, method="max"))
    given = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    scales = [
        (given[node.input[0]], given[node.input[1]], given[node.input[2]])
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in given and given[node.input[0]].ndim == 4
    ]
    assert len(scales) == 2
    for weights, scale, zero in scales:
        assert (weights.dtype, scale.shape) == (np.int8, (8,))
        assert not zero.any()


def test_clips_vanish_into_the_range_of_their_layer(source: Source, calibrated: Calibrated) -> None:
    assert _types(source.model)["Clip"] == 1
    assert _types(quantised(source, calibrated, Recipe(kind=MIXED, method="max")))["Clip"] == 0


def test_bytes_are_taken_as_they_are_and_nothing_changes_by_it(source: Source, calibrated: Calibrated) -> None:
    folded = quantised(source, calibrated, Recipe(kind=MIXED, method="max"))
    normalised = quantised(source, calibrated, Recipe(kind=MIXED, method="max", folds_pixels=False))
    assert not _types(folded).keys() & {"Sub", "Mul", "Cast"}
    assert {"Sub", "Mul", "Cast"} <= _types(normalised).keys()
    one, other = (_answers(model)["probabilities"] for model in (folded, normalised))
    assert np.abs(one - other).max() < 0.02  # its range is that of the photos, the bytes' is the whole


def test_scores_and_tail_stay_in_floating_point(source: Source, calibrated: Calibrated) -> None:
    model = quantised(source, calibrated, Recipe(kind=MIXED, method="max"))
    (softmax,) = [node for node in model.graph.node if node.op_type == "Softmax"]
    assert softmax.input[0] == source.scores


def test_layers_that_are_named_stay_in_floating_point(source: Source, calibrated: Calibrated) -> None:
    model = quantised(source, calibrated, Recipe(kind=MIXED, method="max", floats=frozenset(source.layers[1:])))
    given = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    made = {node.name: given.get(node.input[1]) for node in model.graph.node if node.name in source.layers}
    assert [made[layer] for layer in source.layers] == [None, onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT]


def test_the_graph_is_valid_and_nothing_hangs_loose(source: Source, calibrated: Calibrated) -> None:
    model = quantised(source, calibrated, Recipe(kind=MIXED, method="max"))
    onnx.checker.check_model(model)
    taken = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= taken
