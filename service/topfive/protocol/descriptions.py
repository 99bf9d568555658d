"""Descriptions of the server and its models, as the protocol's JSON objects.

gRPC makes its messages from these objects, so REST and gRPC cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from topfive import __version__
from topfive.config.settings import Settings
from topfive.ground.errors import Unsupported
from topfive.ground.types import TensorSpec
from topfive.models.served import ServedModel
from topfive.observe.statistics import Duration, Statistics
from topfive.repository.graph_properties import PREPROCESSING

Object = dict[str, Any]

_ALWAYS: Final = ("binary_tensor_data", "model_configuration", "schedule_policy")
_EXPLICIT: Final = ("model_repository", "model_repository(unload_dependents)")
_LEAVES: Final = (
    *("success", "fail", "queue", "compute_input", "compute_infer", "compute_output"),
    *("cache_hit", "cache_miss"),
)
_WIDE: Final = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)


def server_metadata(settings: Settings) -> Object:
    """The server's name, its version, and the extensions that work with these `settings`."""
    extensions = [*_ALWAYS]
    if settings.workers == 1:
        extensions.append("statistics")
    if settings.model_control == "explicit":
        extensions.extend(_EXPLICIT)
    return {"name": "topfive", "version": __version__, "extensions": sorted(extensions)}


def model_metadata(model: ServedModel, versions: Iterable[int]) -> Object:
    """The tensors of `model`, and its served `versions`."""
    platform = "ensemble" if model.config.steps else "onnxruntime_onnx"
    return {
        "name": model.name,
        "versions": [str(version) for version in sorted(versions)],
        "platform": platform,
        "inputs": [_tensor(spec) for spec in model.config.inputs],
        "outputs": [_tensor(spec) for spec in model.config.outputs],
    }


def config_message(model: ServedModel) -> Any:
    """The model's `config.pbtxt` as an `inference.ModelConfig`, with its name.

    If its graph says how it prepares images, that is added as the parameter `preprocessing`, as the graph says it.
    """
    message = type(model.config.message)()
    message.CopyFrom(model.config.message)
    message.name = model.name
    if model.preprocessing:
        message.parameters[PREPROCESSING].string_value = model.preprocessing
    return message


def model_config(model: ServedModel) -> Object:
    """`config_message` as JSON, with defaults; 64-bit numbers are JSON numbers, as in Triton."""
    message = config_message(model)
    described = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    return _with_numbers(described, message)


def model_statistics(models: Iterable[ServedModel], settings: Settings) -> Object:
    """Statistics of `models`; raises `Unsupported` if there are several worker processes, each with its own."""
    if settings.workers > 1:
        raise Unsupported(
            f"statistics are each process' own, and this service runs {settings.workers}; /metrics adds them up"
        )
    return {"model_stats": [_statistics(model, model.statistics) for model in models]}


def _tensor(spec: TensorSpec) -> Object:
    return {"name": spec.name, "datatype": spec.datatype, "shape": list(spec.shape)}


def _statistics(model: ServedModel, statistics: Statistics) -> Object:
    # An ensemble's batches run in its classifier, together with the classifier's own.
    ran = statistics if model.batched is None else model.batched.statistics
    return {
        "name": model.name,
        "version": str(model.version),
        "last_inference": statistics.last_inference_ms,
        "inference_count": statistics.inference_count,
        "execution_count": ran.execution_count,
        "inference_stats": {leaf: _duration(getattr(statistics, leaf)) for leaf in _LEAVES},
        "response_stats": {},
        "batch_stats": [
            {
                "batch_size": size,
                "compute_input": _duration(batch.compute_input),
                "compute_infer": _duration(batch.compute_infer),
                "compute_output": _duration(batch.compute_output),
            }
            for size, batch in sorted(ran.batches.items())
        ],
        "memory_usage": [],
    }


def _duration(duration: Duration) -> Object:
    return {"count": duration.count, "ns": duration.ns}


def _with_numbers(described: Object, message: Message) -> Object:
    """`described`, protobuf's JSON of `message`, with numbers in place of its strings of digits."""
    fields = message.DESCRIPTOR.fields_by_name
    return {name: _value_with_numbers(value, fields[name], message) for name, value in described.items()}


def _value_with_numbers(value: Any, field: FieldDescriptor, owner: Message) -> Any:
    if field.cpp_type in _WIDE:
        return [int(number) for number in value] if isinstance(value, list) else int(value)
    if field.message_type is None:
        return value
    if field.message_type.GetOptions().map_entry:
        entries = getattr(owner, field.name)
        return {
            key: _with_numbers(entry, entries[key]) if isinstance(entry, dict) else entry
            for key, entry in value.items()
        }
    inner = getattr(owner, field.name)
    if isinstance(value, list):
        return [_with_numbers(entry, message) for entry, message in zip(value, inner, strict=True)]
    return _with_numbers(value, inner)
