"""The layer that loses most by eight bits is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from tests.pipeline.optimising import networks
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.optimising.bench import Bench
from topfive_pipeline.optimising.calibrated import calibrate
from topfive_pipeline.optimising.machine import kinds
from topfive_pipeline.optimising.measuring import scores_of
from topfive_pipeline.optimising.quantising import Recipe
from topfive_pipeline.optimising.sensitivity import sensitivities, units_of
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
    calibrated = calibrate(source, crops, methods=("max",), kinds=(RECIPE.kind,), progress=lambda _: None)
    reference = scores_of(source.model, source.scores, crops)
    own = Bench(source, calibrated, bench.held, reference, bench.until, bench.progress)
    found = sensitivities(own, RECIPE, (bench.held, reference), may_go_on=lambda: True)
    assert {each.layer for each in found} == set(source.layers)
    assert [each.gain for each in found] == sorted((each.gain for each in found), reverse=True)
    assert found[0].gain > 1


def test_a_unit_is_a_layer_with_those_that_make_what_it_takes(bench: Bench) -> None:
    first, second, third = bench.source.layers
    assert units_of(bench.source) == {
        first: {first},
        second: {first, second},
        third: {first, second, third},  # a sum is before it
    }


def test_when_the_time_is_over_what_was_found_is_kept_and_told(bench: Bench) -> None:
    answers = iter((True, False))
    found = sensitivities(
        bench,
        RECIPE,
        (bench.held, bench.reference),
        may_go_on=lambda: next(answers),
    )
    assert [each.layer for each in found] == bench.source.layers[:1]
    assert bench.warnings == ["the time was enough for the sensitivity of 1 of 3 layers (--time)"]
