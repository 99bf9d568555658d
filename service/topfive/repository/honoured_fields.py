"""The fields of `config.pbtxt` that the embedded backend honours; every other field is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from google.protobuf.message import Message

HONOURED: Final = frozenset(
    {
        "name",
        "platform",
        "backend",
        "default_model_filename",
        "max_batch_size",
        "input.name",
        "input.data_type",
        "input.dims",
        "output.name",
        "output.data_type",
        "output.dims",
        "version_policy.latest",
        "version_policy.latest.num_versions",
        "version_policy.all",
        "version_policy.specific.versions",
        "instance_group",
        "instance_group.name",
        "instance_group.kind",
        "instance_group.count",
        "dynamic_batching",
        "dynamic_batching.max_queue_delay_microseconds",
        "dynamic_batching.priority_levels",
        "dynamic_batching.default_priority_level",
        "dynamic_batching.default_queue_policy",
        "dynamic_batching.default_queue_policy.default_timeout_microseconds",
        "dynamic_batching.default_queue_policy.allow_timeout_override",
        "dynamic_batching.default_queue_policy.max_queue_size",
        "parameters.intra_op_thread_count",
        "parameters.int8_model_filename",
        "parameters.jpeg_short_side",
        "optimization.execution_accelerators.cpu_execution_accelerator.name",
        "optimization.execution_accelerators.cpu_execution_accelerator.parameters",
        "optimization.execution_accelerators.gpu_execution_accelerator.name",
        "optimization.execution_accelerators.gpu_execution_accelerator.parameters",
        "model_warmup.name",
        "model_warmup.batch_size",
        "model_warmup.count",
        "model_warmup.inputs.data_type",
        "model_warmup.inputs.dims",
        "model_warmup.inputs.zero_data",
        "model_warmup.inputs.random_data",
        "ensemble_scheduling.step.model_name",
        "ensemble_scheduling.step.model_version",
        "ensemble_scheduling.step.input_map",
        "ensemble_scheduling.step.output_map",
    }
)
"""Dotted paths. The path of a message itself is listed if the message may be empty."""


def fields_set(message: Message, prefix: str = "") -> Iterator[str]:
    """Dotted paths of the fields that `message` sets; for `parameters` the keys, for other maps the values' fields."""
    for descriptor, value in message.ListFields():
        path = prefix + descriptor.name
        if path == "parameters":
            yield from (f"{path}.{key}" for key in value)
        elif descriptor.message_type is None or path.endswith("_map"):
            yield path
        elif descriptor.message_type.GetOptions().map_entry:
            for entry in value.values():
                if not isinstance(entry, Message) or not entry.ListFields():
                    yield path
                else:
                    yield from fields_set(entry, path + ".")
        else:
            entries = value if descriptor.is_repeated else [value]
            for entry in entries:
                if not entry.ListFields():
                    yield path
                yield from fields_set(entry, path + ".")
