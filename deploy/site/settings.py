"""`docs/settings.md`: the settings of the service, from their definition, and those of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from topfive.config.settings import Settings

_HEAD: Final = """\
# Settings

Every limit and switch of the service, and every field of a model's `config.pbtxt`, with its default and when to change
it. Made from the settings' definition by `make docs-pages`.

## Of the service

Each is a flag (`--max-body-bytes 1000000`) and an environment variable (`TOPFIVE_MAX_BODY_BYTES=1000000`); the flag
wins. Switches are `--log-requests` and `--no-log-requests`. A variable `TOPFIVE_…` that is no setting is refused, so
that a misspelt one is not silently ignored. Kubernetes makes such variables for a Service named `topfive`: give it
another name, or the pod `enableServiceLinks: false`.

| setting | default | what it is, and when to change it |
|---|---|---|
"""

_MODELS: Final = """
## Of a model

These are in the `config.pbtxt` of [your model](own-model.md) and mean what they mean on Triton. A field that is not
listed here is refused at the start, by name.

| field | without it | what it is, and when to change it |
|---|---|---|
"""
_QUEUE: Final = "dynamic_batching.default_queue_policy"
_ACCELERATOR: Final = "optimization.execution_accelerators.cpu_execution_accelerator"
_GPU_ACCELERATOR: Final = "optimization.execution_accelerators.gpu_execution_accelerator"
_STEP: Final = "ensemble_scheduling.step"
_FIELDS: Final[tuple[tuple[list[str], str, str], ...]] = (
    (["name"], "the folder's", "must be the folder's"),
    (
        ["backend", "platform"],
        "refused",
        "either of them: `onnxruntime` (as a platform also `onnxruntime_onnx`), or `ensemble` for an ensemble",
    ),
    (["default_model_filename"], "`model.onnx`", "the graph in each version's folder"),
    (
        ["input.name", "input.data_type", "input.dims"],
        "refused",
        "must be the graph's; without the batch dimension, -1 for a free one",
    ),
    (
        ["output.name", "output.data_type", "output.dims"],
        "refused",
        "the same. What a classifier puts out beside `classes`, `probabilities` and `indices` is only in OIP's answers",
    ),
    (
        ["version_policy.latest.num_versions", "version_policy.specific.versions", "version_policy.all"],
        "the highest",
        "which version folders are served",
    ),
    (
        ["max_batch_size"],
        "refused",
        "most images in a batch. Warm-up measures how large a batch pays, up to this; lower it to save memory",
    ),
    (["dynamic_batching"], "no batching", "lets images of different requests share a batch"),
    (
        ["dynamic_batching.max_queue_delay_microseconds"],
        "0",
        "how long an image waits for company while an instance is free. On a CPU that costs latency and gains nothing",
    ),
    (
        ["dynamic_batching.priority_levels"],
        "all requests are equal",
        "priorities of requests, of which 1 is the best; what waits leaves by priority, then in order of arrival",
    ),
    (
        ["dynamic_batching.default_priority_level"],
        "refused, if there are levels",
        "the priority of a request that names none of them. At 1, a client can give way to others; at 2, also push in",
    ),
    (
        [f"{_QUEUE}.max_queue_size"],
        "the setting `max_queue_items`",
        "most images that wait. Lower it to refuse sooner under overload",
    ),
    (
        [f"{_QUEUE}.default_timeout_microseconds"],
        "none",
        "answers 504 to a request that has no answer so long after its first byte",
    ),
    ([f"{_QUEUE}.allow_timeout_override"], "`false`", "lets a request shorten that timeout by `timeout_ms`"),
    (["instance_group.count"], "as many as fill the cores", "batches that run side by side"),
    (
        ["instance_group.kind", "instance_group.name"],
        "",
        "`KIND_CPU`, `KIND_GPU`, or `KIND_AUTO`: a GPU if there is one",
    ),
    (
        ["parameters.intra_op_thread_count"],
        "1",
        "threads of each instance. More make a batch faster, all together slower; a lone request has all cores anyway",
    ),
    (
        ["parameters.int8_model_filename"],
        "one graph",
        "a second file, in int8, for [processors that are fast at it](optimise.md#a-graph-for-each-processor)",
    ),
    (
        ["parameters.jpeg_short_side"],
        "JPEGs are decoded at full size",
        "of the model that resizes: how short a side [large JPEGs](operations.md#large-jpegs) may be decoded to",
    ),
    (
        [f"{_ACCELERATOR}.name", f"{_ACCELERATOR}.parameters"],
        "ONNX Runtime runs the graph",
        "for a classifier: `openvino` (an extra), with its `precision`: see [OpenVINO](operations.md#openvino)",
    ),
    (
        [f"{_GPU_ACCELERATOR}.name", f"{_GPU_ACCELERATOR}.parameters"],
        "CUDA runs the graph, with TF32 off and convolutions chosen by heuristics",
        "for a classifier with `KIND_GPU`: `tensorrt`, or options of `cuda`: [both](operations.md#cuda-and-tensorrt)",
    ),
    (
        ["model_warmup.name", "model_warmup.batch_size", "model_warmup.count"],
        "each batch size once",
        "what is run before the model counts as ready",
    ),
    (
        [f"model_warmup.inputs.{name}" for name in ("data_type", "dims", "zero_data", "random_data")],
        "",
        "and on which pixels",
    ),
    (
        [f"{_STEP}.{name}" for name in ("model_name", "model_version", "input_map", "output_map")],
        "",
        "of an ensemble: an image to one of one size, and that to the classes and further outputs, each under its name",
    ),
)


def settings_page() -> str:
    """The page as it should be."""
    rows = [
        f"| `{name}` | {_shown(field.default)} | {field.description} |" for name, field in Settings.model_fields.items()
    ]
    fields = [
        f"| {', '.join(f'`{name}`' for name in names)} | {without} | {text} |" for names, without, text in _FIELDS
    ]
    return _HEAD + "\n".join(rows) + "\n" + _MODELS + "\n".join(fields) + "\n"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if default == "":
        return "(empty)"
    return f"`{default.as_posix() if isinstance(default, Path) else default}`"
