"""What the server and its models say of themselves is true, complete, and of the types that clients read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Final

import pytest
from google.protobuf.json_format import ParseDict
from tritonclient.grpc import model_config_pb2 as pb

from topfive import __version__
from topfive.config.settings import Settings
from topfive.ground.errors import Unsupported
from topfive.ground.types import Timings
from topfive.models.served import ServedModel
from topfive.observe.statistics import Statistics
from topfive.protocol.descriptions import model_config, model_metadata, model_statistics, server_metadata
from topfive.repository.model_config import parse_model_config

EVERY_FIELD: Final = """
name: "every"
platform: "onnxruntime_onnx"
backend: "onnxruntime"
max_batch_size: 16
version_policy { specific { versions: [ 3, 9007199254740993 ] } }
input { name: "image" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }
output { name: "classes" data_type: TYPE_STRING dims: [ 5 ] }
output { name: "probabilities" data_type: TYPE_FP32 dims: [ 5 ] }
output { name: "indices" data_type: TYPE_INT64 dims: [ 5 ] }
instance_group { count: 2 kind: KIND_CPU }
dynamic_batching {
  max_queue_delay_microseconds: 9007199254740993
  default_queue_policy {
    default_timeout_microseconds: 250000 allow_timeout_override: true max_queue_size: 64
  }
}
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
model_warmup { name: "grey" batch_size: 2 count: 3
  inputs { key: "image" value { data_type: TYPE_UINT8 dims: [ 224, 224, 3 ] random_data: true } } }
"""
LEAVES: Final = {"success", "fail", "queue", "compute_input", "compute_infer", "compute_output"} | {
    "cache_hit",
    "cache_miss",
}


def numbers_in(node: Any) -> list[Any]:
    """Every value in `node` that is no container."""
    parts = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
    return [node] if parts is None else [leaf for part in parts for leaf in numbers_in(part)]


@pytest.mark.parametrize(
    ("chosen", "offered"),
    [
        ({}, {"statistics"}),
        ({"workers": 2}, set()),
        ({"model_control": "explicit"}, {"statistics", "model_repository", "model_repository(unload_dependents)"}),
        ({"model_control": "poll"}, {"statistics"}),
    ],
)
def test_only_what_works_is_advertised(chosen: dict[str, Any], offered: set[str]) -> None:
    metadata = server_metadata(Settings(**chosen))
    assert (metadata["name"], metadata["version"]) == ("topfive", __version__)
    always = {"binary_tensor_data", "model_configuration", "schedule_policy"}
    assert set(metadata["extensions"]) == always | offered
    assert len(metadata["extensions"]) == len(set(metadata["extensions"]))


def test_metadata_has_the_batch_dimension_first(served: dict[str, ServedModel]) -> None:
    assert model_metadata(served["tiny"], [3, 1]) == {
        "name": "tiny",
        "versions": ["1", "3"],
        "platform": "ensemble",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
        "outputs": [
            {"name": "classes", "datatype": "BYTES", "shape": [-1, 5]},
            {"name": "probabilities", "datatype": "FP32", "shape": [-1, 5]},
            {"name": "indices", "datatype": "INT64", "shape": [-1, 5]},
        ],
    }
    assert model_metadata(served["classify"], [1])["platform"] == "onnxruntime_onnx"


def test_the_configuration_says_what_the_file_says(served: dict[str, ServedModel]) -> None:
    """Every field, read back by protobuf itself; 64-bit numbers as numbers, as Triton has them."""
    config = parse_model_config(EVERY_FIELD, name="every", where="a test")
    described = json.loads(json.dumps(model_config(replace(served["classify"], name="every", config=config))))
    assert ParseDict(described, pb.ModelConfig()) == config.message
    assert described["input"][0]["dims"] == [-1, -1, 3]
    assert described["version_policy"]["specific"]["versions"] == [3, 9007199254740993]
    assert described["dynamic_batching"]["max_queue_delay_microseconds"] == 9007199254740993
    assert described["model_warmup"][0]["inputs"]["image"]["dims"] == [224, 224, 3]
    assert described["parameters"] == {"intra_op_thread_count": {"string_value": "1"}}
    assert [leaf for leaf in numbers_in(described) if isinstance(leaf, str) and leaf.isdigit()] == ["1"]


def test_the_configuration_passes_on_what_the_graph_says_of_its_preprocessing(served: dict[str, ServedModel]) -> None:
    """As the graph says it; what a graph does not say is not there, and the configuration itself stays as it is."""
    assert "preprocessing" not in model_config(served["tiny"])["parameters"]
    said = '{"resize": "letterbox", "crop": [224, 224]}'
    described = model_config(replace(served["tiny"], preprocessing=said))
    assert described["parameters"] == {"preprocessing": {"string_value": said}}
    assert "preprocessing" not in served["tiny"].config.message.parameters


def test_the_configuration_of_an_ensemble_tells_its_steps(served: dict[str, ServedModel]) -> None:
    described = model_config(served["tiny"])
    assert described["name"] == "tiny", "also where the file leaves it to the folder"
    assert described["platform"] == "ensemble"
    steps = described["ensemble_scheduling"]["step"]
    assert [(step["model_name"], step["model_version"]) for step in steps] == [("crop", -1), ("classify", -1)]
    assert steps[0]["input_map"] == {"image": "image"}
    assert "dynamic_batching" not in described


def test_the_configuration_has_what_clients_read_without_asking_whether_it_is_there(
    served: dict[str, ServedModel],
) -> None:
    """perf_analyzer's keys: a tensor of the configuration is one of the metadata, without the batch dimension."""
    for model in served.values():
        described, metadata = model_config(model), model_metadata(model, [1])
        assert described["max_batch_size"] == 8
        for ours, theirs in (("input", "inputs"), ("output", "outputs")):
            told = {tensor["name"]: tensor["dims"] for tensor in described[ours]}
            assert told == {tensor["name"]: tensor["shape"][1:] for tensor in metadata[theirs]}
            assert all(tensor["is_shape_tensor"] is False for tensor in described[ours])
        assert all(tensor["optional"] is False for tensor in described["input"])


def counted(model: ServedModel) -> dict[str, Any]:
    (found,) = json.loads(json.dumps(model_statistics([model], Settings())))["model_stats"]
    return dict(found)


def test_statistics_have_every_leaf_before_anything_has_happened(served: dict[str, ServedModel]) -> None:
    fresh = counted(replace(served["classify"], statistics=Statistics()))
    leaves = fresh.pop("inference_stats")
    assert fresh == {
        "name": "classify",
        "version": "1",
        "last_inference": 0,
        "inference_count": 0,
        "execution_count": 0,
        "response_stats": {},
        "batch_stats": [],
        "memory_usage": [],
    }
    assert leaves == {name: {"count": 0, "ns": 0} for name in LEAVES}


def test_statistics_count_requests_images_and_batches(served: dict[str, ServedModel]) -> None:
    """An ensemble and its classifier count a request each; batches are the classifier's, whoever they were for."""
    step = replace(served["classify"], statistics=Statistics())
    ensemble = replace(served["tiny"], statistics=Statistics(), batched=step)
    ensemble.count(3, Timings(0.001, 0.002, 0.003, 0.004), 0.0125)
    step.count(1, Timings(0.0, 0.0, 0.001, 0.002), 0.004)
    ensemble.count(0, None, 0.001)
    for size in (2, 2, 1):
        step.statistics.ran_batch(size, 0.001, 0.002)
    whole, part = counted(ensemble), counted(step)
    assert (whole["inference_count"], part["inference_count"]) == (3, 4)
    assert (whole["execution_count"], part["execution_count"]) == (3, 3)
    assert whole["batch_stats"] == part["batch_stats"]
    assert [batch["batch_size"] for batch in part["batch_stats"]] == [1, 2]
    assert part["batch_stats"][1]["compute_infer"] == {"count": 2, "ns": 4_000_000}
    leaves = whole["inference_stats"]
    assert {name: leaf["count"] for name, leaf in leaves.items()} == {
        **dict.fromkeys(LEAVES, 1),
        "cache_hit": 0,
        "cache_miss": 0,
    }
    nanoseconds = {name: leaves[name]["ns"] for name in ("queue", "compute_input", "compute_infer", "compute_output")}
    expected = {"queue": 3e6, "compute_input": 3e6, "compute_infer": 4e6, "compute_output": 2.5e6}
    assert nanoseconds == pytest.approx(expected, abs=2)
    assert whole["last_inference"] > 1_600_000_000_000, "milliseconds since 1970"
    assert part["inference_stats"]["success"]["count"] == 2


def test_statistics_of_one_process_among_several_are_not_given_for_all(served: dict[str, ServedModel]) -> None:
    with pytest.raises(Unsupported, match="this service runs 2; /metrics adds them up"):
        model_statistics([served["tiny"]], Settings(workers=2))
