"""The layer that loses most by eight bits is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx

from tests.pipeline.graphs.networks import outputs
from tests.pipeline.optimising import networks
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.optimising import calibration
from topfive_pipeline.optimising.bench import Bench
from topfive_pipeline.optimising.calibration import Histogram, ranges
from topfive_pipeline.optimising.machine import kinds
from topfive_pipeline.optimising.measuring import distance, scores_of
from topfive_pipeline.optimising.quantising import Recipe, quantised
from topfive_pipeline.optimising.sensitivity import left_in_float, sensitivities
from topfive_pipeline.optimising.source import prepare

RECIPE = Recipe(kind=kinds(("avx512_vnni",), machine="x86_64")[0], method="max")


def _fragile() -> Any:
    """The network with a matrix that eight bits for a channel cannot hold: one weight is a thousand times the rest."""
    model = networks.convolutional()
    third = next(tensor for tensor in model.graph.initializer if tensor.name == "third")
    array = onnx.numpy_helper.to_array(third).copy()
    array[0] *= 300
    third.CopyFrom(onnx.numpy_helper.from_array(array, "third"))
    second = next(tensor for tensor in model.graph.initializer if tensor.name == "second")
    array = onnx.numpy_helper.to_array(second).copy()
    array[0] = 0  # so that what the large weight takes is small
    second.CopyFrom(onnx.numpy_helper.from_array(array, "second"))
    return model


def test_the_most_sensitive_layer_comes_first(tmp_path: Path, bench: Bench) -> None:
    source = prepare(graph_path(networks.repository(tmp_path, _fragile()), "pets_classify", 1))
    crops = bench.held.crops
    histograms = calibration.collect(source, crops, progress=lambda *_: None)
    reference = scores_of(source.model, source.scores, crops)
    own = Bench(source, bench.held, reference, bench.until, bench.progress)
    model = quantised(source, ranges(histograms, "max"), RECIPE)
    found = sensitivities(own, model, bench.held, reference, may_go_on=lambda: True)
    assert {each.layer for each in found} == set(source.layers)
    assert [each.gain for each in found] == sorted((each.gain for each in found), reverse=True)
    assert found[0].gain > 1


def test_a_layer_that_is_left_out_has_its_own_weights_and_answers_hold(
    bench: Bench, histograms: dict[str, Histogram]
) -> None:
    source = bench.source
    model = quantised(source, ranges(histograms, "max"), RECIPE)
    before = distance(scores_of(model, source.scores, bench.held.crops), bench.reference).sqnr
    for layer in source.layers:
        other = left_in_float(model, source, layer)
        onnx.checker.check_model(other)
        assert distance(scores_of(other, source.scores, bench.held.crops), bench.reference).sqnr > before - 3
        node = next(node for node in other.graph.node if node.name == layer)
        weights = next(tensor for tensor in other.graph.initializer if tensor.name == node.input[1])
        assert weights.data_type == onnx.TensorProto.FLOAT


def test_the_given_model_stays_as_it_is(bench: Bench, histograms: dict[str, Histogram]) -> None:
    model = quantised(bench.source, ranges(histograms, "max"), RECIPE)
    before = model.SerializeToString(deterministic=True)
    left_in_float(model, bench.source, bench.source.layers[0])
    assert model.SerializeToString(deterministic=True) == before
    pixels = np.stack(bench.held.crops)
    assert outputs(model, pixels=pixels)["indices"].shape == (24, 3)


def test_when_the_time_is_over_what_was_found_is_kept_and_told(bench: Bench, histograms: dict[str, Histogram]) -> None:
    model = quantised(bench.source, ranges(histograms, "max"), RECIPE)
    answers = iter((True, False))
    found = sensitivities(bench, model, bench.held, bench.reference, may_go_on=lambda: next(answers))
    assert [each.layer for each in found] == bench.source.layers[:1]
    assert bench.warnings == ["the time was enough for the sensitivity of 1 of 3 layers (--time)"]
