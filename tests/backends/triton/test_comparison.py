"""What Triton says of a model is compared with all that our config.pbtxt sets, and with nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.grpc import service_pb2

from tests.testkit.tiny_models import REAL_REPOSITORY
from topfive.backends.triton.comparison import config_differences, metadata_differences
from topfive.ground.types import TensorSpec

OURS = """
    name: "m" backend: "onnxruntime" max_batch_size: 16
    input { name: "pixels" data_type: TYPE_UINT8 dims: [ 2, 2, 3 ] }
    output { name: "classes" data_type: TYPE_STRING dims: [ 5 ] }
    output { name: "probabilities" data_type: TYPE_FP32 dims: [ 5 ] }
    dynamic_batching { max_queue_delay_microseconds: 0 default_queue_policy { max_queue_size: 256 } }
    instance_group { kind: KIND_CPU }
    parameters { key: "intra_op_thread_count" value { string_value: "1" } }
    version_policy { latest { num_versions: 2 } }
"""
# As Triton answers, with what it fills in.
FILLED_IN = """
    platform: "onnxruntime_onnx" runtime: "libtriton_onnxruntime.so" default_model_filename: "model.onnx"
    optimization { priority: PRIORITY_DEFAULT input_pinned_memory { enable: true } }
"""


def config(text: str) -> Any:
    return text_format.Parse(text, pb.ModelConfig())


def theirs() -> Any:
    filled = config(OURS + FILLED_IN)
    filled.dynamic_batching.preferred_batch_size.append(16)
    filled.instance_group[0].name = "m_0"
    filled.instance_group[0].count = 2
    return filled


def test_what_triton_fills_in_is_no_difference() -> None:
    assert config_differences(config(OURS), theirs()) == []


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite0_classify", "efficientnet_lite0_resize"])
def test_our_own_configurations_are_what_they_are(name: str) -> None:
    ours = config((REAL_REPOSITORY / name / "config.pbtxt").read_text(encoding="utf-8"))
    assert config_differences(ours, ours) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("max_batch_size: 8", "max_batch_size: 16 here, 8 there"),
        ("dynamic_batching { default_queue_policy { max_queue_size: 9 } }", "max_queue_size: 256 here, 9 there"),
        ("instance_group { kind: KIND_GPU }", "instance_group"),
        ("parameters { key: 'intra_op_thread_count' value { string_value: '2' } }", "string_value: 1 here, 2 there"),
        ("output { name: 'more' data_type: TYPE_FP32 dims: [ 5 ] }", "output: 2 here, 3 there"),
    ],
)
def test_what_is_set_otherwise_is_named(change: str, said: str) -> None:
    changed = theirs()
    text_format.Parse(change, altered := pb.ModelConfig())
    if altered.instance_group:
        changed.ClearField("instance_group")
    if altered.parameters:
        changed.ClearField("parameters")
    changed.MergeFrom(altered)
    assert said in config_differences(config(OURS), changed)[0]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("dims", [3, 2, 3], "input[0].dims: [2, 2, 3] here, [3, 2, 3] there"),
        ("name", "image", "input[0].name: pixels here, image there"),
        ("data_type", pb.TYPE_FP32, "input[0].data_type"),
    ],
)
def test_another_input_is_named(field: str, value: Any, said: str) -> None:
    changed = theirs()
    if field == "dims":
        changed.input[0].dims[:] = value
    else:
        setattr(changed.input[0], field, value)
    (found,) = config_differences(config(OURS), changed)
    assert said in found


def test_a_parameter_that_is_missing_is_named() -> None:
    changed = theirs()
    del changed.parameters["intra_op_thread_count"]
    assert config_differences(config(OURS), changed) == ["parameters.intra_op_thread_count: not there"]


def test_a_model_without_batching_there_is_not_the_same() -> None:
    changed = theirs()
    changed.ClearField("dynamic_batching")
    assert config_differences(config(OURS), changed) != []


def test_its_tensors_are_those_declared() -> None:
    image, classes = TensorSpec("pixels", "UINT8", (-1, 2, 2, 3)), TensorSpec("classes", "BYTES", (-1, 5))
    answer = service_pb2.ModelMetadataResponse()
    answer.inputs.add(name="pixels", datatype="UINT8", shape=[-1, 2, 2, 3])
    answer.outputs.add(name="classes", datatype="BYTES", shape=[-1, 5])
    assert metadata_differences([image], [classes], answer) == []
    answer.outputs.add(name="scores", datatype="FP32", shape=[-1, 5])
    answer.inputs[0].datatype = "FP32"
    assert metadata_differences([image], [classes], answer) == [
        "input 'pixels': UINT8 [-1, 2, 2, 3] here, FP32 [-1, 2, 2, 3] there",
        "output 'scores': none here, FP32 [-1, 5] there",
    ]
