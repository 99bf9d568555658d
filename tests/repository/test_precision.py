"""The precision of a graph is that of most of its weights, or INT8 if it quantises; read from real ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.testkit.tiny_models import REAL_REPOSITORY
from topfive.repository.model_config import parse_model_config
from topfive.repository.precision import computes_in, precision_of

onnx = pytest.importorskip("onnx", reason="the extra `export` is not installed (make setup-export)")


def write(path: Path, operators: list[str], weights: dict[str, Any]) -> Path:
    helper = onnx.helper
    nodes = [helper.make_node(operator, ["x"], [f"y{number}"]) for number, operator in enumerate(operators)]
    values = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", [], [], values)
    path.write_bytes(helper.make_model(graph, producer_name="p" * 300).SerializeToString())
    return path


@pytest.mark.parametrize(
    ("operators", "accelerator", "says"),
    [
        (["Conv"], "", "FP16"),
        (["Conv"], 'name: "openvino"', "FP32"),
        (["Conv"], 'name: "openvino" parameters { key: "precision" value: "bf16" }', "BF16"),
        (["QuantizeLinear"], 'name: "openvino" parameters { key: "precision" value: "bf16" }', "INT8"),
    ],
)
def test_an_engine_may_compute_in_another(tmp_path: Path, operators: list[str], accelerator: str, says: str) -> None:
    """Than the weights have; what is quantised stays so."""
    text = (REAL_REPOSITORY / "efficientnet_lite0_classify" / "config.pbtxt").read_text()
    if accelerator:
        text += f"optimization {{ execution_accelerators {{ cpu_execution_accelerator {{ {accelerator} }} }} }}"
    config = parse_model_config(text, name="efficientnet_lite0_classify", where="config.pbtxt")
    path = write(tmp_path / "model.onnx", operators, {"w": np.zeros((8, 8), np.float16)})
    assert computes_in(path, config) == says


def test_of_the_reference_model() -> None:
    assert precision_of(REAL_REPOSITORY / "efficientnet_lite0_classify" / "1" / "model.onnx") == "FP32"


@pytest.mark.parametrize(("dtype", "name"), [(np.float32, "FP32"), (np.float16, "FP16"), (np.float64, "FP64")])
def test_of_each_type(dtype: Any, name: str, tmp_path: Path) -> None:
    assert precision_of(write(tmp_path / "m.onnx", ["Relu"], {"w": np.zeros((3, 70), dtype)})) == name


def test_most_of_the_weights_decide_and_indices_are_none(tmp_path: Path) -> None:
    weights = {"a": np.zeros(10, np.float32), "b": np.zeros((9, 9), np.float16), "i": np.zeros(999, np.int64)}
    assert precision_of(write(tmp_path / "m.onnx", ["Relu"], weights)) == "FP16"


@pytest.mark.parametrize("operator", ["QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "MatMulInteger"])
def test_one_that_quantises_is_int8(operator: str, tmp_path: Path) -> None:
    assert precision_of(write(tmp_path / "m.onnx", ["Relu", operator], {"w": np.zeros(9, np.float32)})) == "INT8"


def test_without_weights_there_is_none(tmp_path: Path) -> None:
    assert precision_of(write(tmp_path / "m.onnx", ["Relu"], {})) == ""
    assert precision_of(tmp_path / "absent") == ""


@given(data=st.binary(max_size=200))
def test_what_is_no_graph_has_none_and_ends(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "no graph"
    path.write_bytes(data)
    assert precision_of(path) in ("", "INT8", "FP32", "FP16", "FP64", "BF16")
