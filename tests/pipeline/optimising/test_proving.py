"""What is found when an int8 graph does not hold."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.importing import edit
from tests.pipeline.optimising import networks
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.optimising.bench import Pictures
from topfive_pipeline.optimising.proving import prove
from topfive_pipeline.proof.models import Written
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.running import Graph


def _written(repository: Path) -> Written:
    resize, classify = (Graph(graph_path(repository, f"pets_{part}", 1)) for part in ("resize", "classify"))
    return Written(repository, "pets", resize, classify, networks.LABELS)


def _other_labels(model: Any) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.STRING:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([*"xyz"], object), tensor.name))


def _fewer_places(model: Any) -> None:
    for node in model.graph.node:
        if node.op_type == "TopK":
            for tensor in model.graph.initializer:
                if tensor.name == node.input[1]:
                    tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([2], np.int64), tensor.name))
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_value = 2


@pytest.mark.parametrize(
    ("change", "said"), [(_other_labels, "bears the label 'x'"), (_fewer_places, "[1, 3] any more")]
)
def test_answers_of_another_kind_fail(change: Callable[[Any], None], said: str, pets: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(pets, tmp_path / "copy"))
    edit(graph_path(copy, "pets_classify", 1), change)
    pictures = Pictures([Photo(Path("a.png"))], networks.crops(1), None)
    failure = prove(_written(copy), _written(pets), pictures, progress=lambda _: None).failure
    assert failure is not None
    assert failure.step == "answers"
    assert said in failure.said
