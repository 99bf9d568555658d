"""What is found of a graph before it is quantised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.graphs.networks import outputs
from tests.pipeline.importing import edit
from tests.pipeline.optimising import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.optimising.source import CLAMPS, Source, prepare


def _prepared(folder: Path, model: Any | None = None, **flags: Any) -> Source:
    return prepare(graph_path(networks.repository(folder, model, **flags), "pets_classify", 1))


def test_layers_are_what_multiplies_in_order(source: Source) -> None:
    types = {node.name: node.op_type for node in source.model.graph.node}
    assert [types[layer] for layer in source.layers] == ["Conv", "Conv", "Gemm"]
    assert len(source.of_types(CLAMPS)) == 1


def test_scores_are_before_the_softmax(source: Source) -> None:
    (softmax,) = [node for node in source.model.graph.node if node.op_type == "Softmax"]
    assert source.scores == softmax.input[0]
    assert softmax.name not in source.nodes


def test_one_whole_zero_and_one_step_are_bytes_already(source: Source) -> None:
    assert (source.zero, source.step) == (128, 1 / 128)
    assert source.pixels is not None


@pytest.mark.parametrize("flags", [{"mean": "0.4,0.5,0.6"}, {"scale": "1/255", "mean": "0.5"}])
def test_other_normalisations_are_not(flags: dict[str, str], tmp_path: Path) -> None:
    assert _prepared(tmp_path, **flags).pixels is None


def test_levels_alone_have_zero_at_zero(tmp_path: Path) -> None:
    source = _prepared(tmp_path, scale="1/255", mean="0")
    assert source.zero == 0
    assert source.step == pytest.approx(1 / 255)


def test_an_old_opset_is_converted_and_answers_alike(pets: Path, tmp_path: Path) -> None:
    older = networks.convolutional(clamp="Clip<min=0., max=6.>(wide)", opset=10)
    repository = networks.repository(tmp_path, older)
    path = graph_path(repository, "pets_classify", 1)
    source = prepare(path)
    crops = np.stack(networks.crops(4))
    before, after = (outputs(model, pixels=crops)["probabilities"] for model in (onnx.load(path), source.model))
    assert np.abs(before - after).max() < 1e-5


def test_what_is_quantised_already_is_refused(tmp_path: Path) -> None:
    path = graph_path(networks.repository(tmp_path), "pets_classify", 1)

    def quantise(model: Any) -> None:
        model.graph.node[-1].op_type = "DequantizeLinear"

    edit(path, quantise)
    with pytest.raises(ConfigurationError, match="quantised already; name a version in floating point"):
        prepare(path)


def test_half_precision_is_refused(tmp_path: Path) -> None:
    path = graph_path(networks.repository(tmp_path), "pets_classify", 1)
    edit(
        path, lambda model: model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(1, np.float16), "half"))
    )
    with pytest.raises(ConfigurationError, match="FP16"):
        prepare(path)
