"""Nodes are timed by the engine: of real runs, and without counting the bodies of branches twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.profiling import operators, roofline
from topfive_pipeline.profiling.operators import Asked, Node, own_times, summed, timed


def event(name: str, operator: str, ts: int, dur: int, **sizes: int) -> dict[str, Any]:
    args = {"op_name": operator} | {f"{size}_size": str(value) for size, value in sizes.items()}
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "tid": 1, "args": args}


def test_a_branch_does_not_count_what_is_in_it() -> None:
    events = [
        event("if", "If", 0, 100),
        event("inner", "Mul", 10, 50, activation=8, parameter=4, output=2),
        event("deeper", "Add", 20, 30),
        event("after", "Add", 100, 7),
        {"cat": "Session", "name": "model_run", "ts": 0, "dur": 120, "tid": 1, "args": {}},
    ]
    nodes = own_times(events)
    assert [(node.name, node.microseconds) for node in nodes] == [
        ("if", 50),
        ("inner", 20),
        ("deeper", 30),
        ("after", 7),
    ]
    assert nodes[1] == Node("inner", "Mul", 20, 14)


@settings(max_examples=40)
@given(spent=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 1e6)), min_size=1, max_size=20))
def test_shares_are_of_the_whole_and_in_order(spent: list[tuple[str, float]]) -> None:
    found = summed([Node(name, name, time) for name, time in spent], lambda node: node.operator, images=4)
    assert sum(each.share for each in found) == pytest.approx(1)
    assert sum(each.milliseconds for each in found) == pytest.approx(sum(time for _, time in spent) / 4e3)
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution of 3x3 over 3 channels into 4, then a product of matrices, of bytes [N, 3, 16, 16]."""
    weights = [
        onnx.numpy_helper.from_array(np.ones((4, 3, 3, 3), np.float32), "w"),
        onnx.numpy_helper.from_array(np.ones((16, 8), np.float32), "v"),
    ]
    nodes = [
        helper.make_node("Cast", ["image"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["floats", "w"], ["maps"], pads=[1, 1, 1, 1]),
        helper.make_node("MatMul", ["maps", "v"], ["out"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", 3, 16, 16])
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 4, 16, 8])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [image], [out], weights),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    path = tmp_path_factory.mktemp("network") / "model.onnx"
    onnx.save(model, path)
    return path


def asked(path: Path) -> Asked:
    return Asked(
        title="inference",
        path=path,
        engine="onnxruntime",
        precision="fp32",
        numbers="fp32",
        threads=1,
        shape=(2, 3, 16, 16),
        seconds=0.02,
    )


def test_multiplications_are_counted_by_shapes(network: Path) -> None:
    assert roofline.macs(network, (2, 3, 16, 16)) == 2 * (4 * 16 * 16 * 3 * 9 + 4 * 16 * 8 * 16)
    assert not roofline.is_integer(network)


def test_a_graph_is_timed_by_its_engine(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "_SECONDS", 0.01)
    monkeypatch.setattr(roofline, "_SIDE", 32)
    monkeypatch.setattr(roofline, "_COPY_BYTES", 1 << 16)
    monkeypatch.setattr(roofline, "FEW", 1.0)
    found = timed(asked(network))
    names = {each.name for each in found.operators}
    assert {"Cast", "Conv", "MatMul"} <= names
    assert sum(each.share for each in found.operators) == pytest.approx(1)
    assert found.batch == 2
    assert found.seconds > 0
    assert found.roof is not None
    assert found.roof.macs == roofline.macs(network, (1, 3, 16, 16))
    assert found.roof.moved > 4 * 4 * 16 * 16  # what the convolution puts out, at least
    assert min(found.roof.of_flops, found.roof.of_copied) > 0


def test_integers_have_a_peak_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "_SECONDS", 0.005)
    monkeypatch.setattr(roofline, "_SIDE", 32)
    assert roofline.peak_flops(threads=1, integers=True) > 0


def test_a_graph_that_cannot_be_loaded_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(ConfigurationError, match=r"model\.onnx: onnxruntime cannot load this graph"):
        timed(asked(path))


def test_few_runs_count_even_if_each_takes_long() -> None:
    runs: list[int] = []
    _, counted = operators.median_run(lambda: runs.append(1), 0.0)
    assert (counted, len(runs)) == (3, 5)
