"""`config.pbtxt`, the only configuration of a model: parsed with Triton's own protobuf, checked field by field.

What lives here: the fields that the embedded backend honours, as one frozen dataclass; for a model that it runs, every
other field is refused by name. What does not: the file system (`repository.reading`), and the use of the fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from topfive.ground.errors import ConfigurationError
from topfive.ground.types import TensorSpec
from topfive.repository.accelerators import Engine, Precision, check_accelerators, engine_of
from topfive.repository.config_checks import check_config
from topfive.repository.gpu_accelerators import Gpu, gpu_of
from topfive.repository.honoured_fields import HONOURED, fields_set

Device = Literal["auto", "cpu", "gpu"]
"""Where a graph runs; "auto" means on a GPU if there is one."""

_DATATYPES: Final = {
    pb.TYPE_BOOL: "BOOL",
    pb.TYPE_UINT8: "UINT8",
    pb.TYPE_INT32: "INT32",
    pb.TYPE_INT64: "INT64",
    pb.TYPE_FP16: "FP16",
    pb.TYPE_FP32: "FP32",
    pb.TYPE_FP64: "FP64",
    pb.TYPE_STRING: "BYTES",
}
_DEVICES: Final[dict[int, Device]] = {
    pb.ModelInstanceGroup.KIND_AUTO: "auto",
    pb.ModelInstanceGroup.KIND_CPU: "cpu",
    pb.ModelInstanceGroup.KIND_GPU: "gpu",
}
_MICROSECONDS: Final = 1e-6


@dataclass(frozen=True, slots=True)
class WarmUp:
    """One `model_warmup` sample: `count` runs of a batch of `shape` (batch first), with zeros or random bytes."""

    shape: tuple[int, ...]
    random: bool
    count: int


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """Which version folders are served: the `specific` ones, else the `latest` in that number, else all."""

    latest: int | None = 1
    specific: tuple[int, ...] | None = None

    def choose(self, present: Sequence[int]) -> list[int]:
        """The versions to serve among those `present`, in ascending order."""
        if self.specific is not None:
            return sorted(set(present) & set(self.specific))
        return sorted(present)[-self.latest :] if self.latest is not None else sorted(present)


@dataclass(frozen=True, slots=True)
class EnsembleStep:
    """One step of an ensemble: a model, and by its tensors' names their names in the ensemble."""

    model: str
    version: int
    inputs: dict[str, str]
    outputs: dict[str, str]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What `config.pbtxt` says, in our names and units; 0 stands for "not set" if the default depends on the machine.

    Tensor shapes have the batch dimension first (-1). `graph_batch_size` is the most images that the graph may get at
    once. `max_batch_size` is the most images in a batch: 1 without `dynamic_batching`, because requests are then not
    batched together, as on Triton. `int8_filename` is empty if no int8 graph may lie beside `filename`.
    `jpeg_short_side` is the short side that a JPEG may be decoded down to. `message` is
    the `inference.ModelConfig` itself, for clients that ask for it.
    """

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    graph_batch_size: int
    batches: bool
    max_queue_delay_seconds: float
    max_queue_items: int
    priority_levels: int
    default_priority_level: int
    queue_timeout_seconds: float
    allow_timeout_override: bool
    instances: int
    threads: int
    jpeg_short_side: int
    device: Device
    engine: Engine
    precision: Precision
    gpu: Gpu
    filename: str
    int8_filename: str
    versions: VersionPolicy
    warm_ups: tuple[WarmUp, ...]
    steps: tuple[EnsembleStep, ...]
    message: Any = field(repr=False, compare=False)

    @property
    def max_batch_size(self) -> int:
        """The most images of different requests in one batch."""
        return self.graph_batch_size if self.batches else 1

    @property
    def runs_on(self) -> str:
        """The engine for operators: TensorRT is one, though ONNX Runtime runs it."""
        return "tensorrt" if self.gpu.tensorrt else self.engine


def parse_model_config(text: str, *, name: str, where: str, on_triton: bool = False) -> ModelConfig:
    """Parse and check the `config.pbtxt` of the folder `name`; `where` names the file in messages.

    `on_triton`: a model that Triton runs may have fields that only Triton honours (`optimization`, GPU instances). An
    ensemble may not, because its steps are always joined here; nor may a model that runs here, for which the backend
    calls `check_honoured`.

    Raises `ConfigurationError`, which names the field and the remedy.
    """
    config = pb.ModelConfig()
    try:
        text_format.Parse(text, config)
    except text_format.ParseError as error:
        raise ConfigurationError(
            f"{where}: not a model configuration: {error}; mend that line, as docs/settings.md shows the fields"
        ) from error
    if not on_triton or config.HasField("ensemble_scheduling"):
        check_honoured(config, where)
    check_config(config, name, where)
    policy = config.dynamic_batching.default_queue_policy
    engine, precision = engine_of(config)
    return ModelConfig(
        name=name,
        inputs=tuple(_tensor_spec(tensor, where) for tensor in config.input),
        outputs=tuple(_tensor_spec(tensor, where) for tensor in config.output),
        graph_batch_size=config.max_batch_size,
        batches=config.HasField("dynamic_batching"),
        max_queue_delay_seconds=config.dynamic_batching.max_queue_delay_microseconds * _MICROSECONDS,
        max_queue_items=policy.max_queue_size,
        priority_levels=config.dynamic_batching.priority_levels,
        default_priority_level=config.dynamic_batching.default_priority_level,
        queue_timeout_seconds=policy.default_timeout_microseconds * _MICROSECONDS,
        allow_timeout_override=policy.allow_timeout_override,
        instances=sum(group.count for group in config.instance_group),
        threads=_number(config, "intra_op_thread_count", "threads, 0 for the default", where),
        jpeg_short_side=_number(config, "jpeg_short_side", "pixels, or leave it out", where),
        device=_DEVICES.get(config.instance_group[0].kind, "auto") if config.instance_group else "auto",
        engine=engine,
        precision=precision,
        gpu=Gpu() if on_triton else gpu_of(config, name),
        filename=config.default_model_filename or "model.onnx",
        int8_filename=_int8_filename(config, where),
        versions=_version_policy(config),
        warm_ups=tuple(_warm_up(sample, config, where) for sample in config.model_warmup),
        steps=tuple(
            EnsembleStep(step.model_name, step.model_version, dict(step.input_map), dict(step.output_map))
            for step in config.ensemble_scheduling.step
        ),
        message=config,
    )


def check_honoured(message: Any, where: str) -> None:
    """Raise `ConfigurationError` unless the embedded backend honours all of `message`, an `inference.ModelConfig`."""
    for path in fields_set(message):
        if path not in HONOURED:
            raise ConfigurationError(
                f"{where}: the embedded backend does not honour the field '{path}'; remove it, or serve this model "
                "on Triton"
            )
    if len(message.instance_group) > 1:
        raise ConfigurationError(
            f"{where}: more than one instance_group; the embedded backend takes one: remove the others"
        )
    for group in message.instance_group:
        if group.kind not in _DEVICES:
            raise ConfigurationError(f"{where}: instance_group.kind must be KIND_AUTO, KIND_CPU or KIND_GPU here")
    check_accelerators(message, where)


def _tensor_spec(tensor: Any, where: str) -> TensorSpec:
    if tensor.data_type not in _DATATYPES:
        served = ", ".join(pb.DataType.Name(number) for number in _DATATYPES)
        raise ConfigurationError(
            f"{where}: the data_type of '{tensor.name}', {pb.DataType.Name(tensor.data_type)}, is not one that is "
            f"served; export the graph with one of {served}"
        )
    if not tensor.dims:
        raise ConfigurationError(f"{where}: '{tensor.name}' has no dims; give one number for each image dims: [ 1 ]")
    if any(size < 1 and size != -1 for size in tensor.dims):
        raise ConfigurationError(f"{where}: the dims of '{tensor.name}' must be sizes, or -1 for any")
    return TensorSpec(tensor.name, _DATATYPES[tensor.data_type], (-1, *tensor.dims))


def _number(config: Any, name: str, unit: str, where: str) -> int:
    """The number that the parameter `name` is; 0 if it is not there."""
    said = _parameter(config, name)
    text = "0" if said is None else said
    if not text.isascii() or not text.isdigit():
        raise ConfigurationError(f"{where}: parameters {name} is '{text}'; give as string_value a number of {unit}")
    return int(text)


def _int8_filename(config: Any, where: str) -> str:
    name = _parameter(config, "int8_model_filename")
    if name is None:
        return ""
    if not name or "/" in name or name.startswith(".") or name == (config.default_model_filename or "model.onnx"):
        raise ConfigurationError(
            f"{where}: parameters int8_model_filename is '{name}'; give the name of a file beside the graph as "
            "string_value, such as model.int8.onnx, or remove it"
        )
    return name


def _parameter(config: Any, key: str) -> str | None:
    """A parameter's text; asking protobuf for one that is not there would add it, and clients see the message."""
    return str(config.parameters[key].string_value) if key in config.parameters else None


def _version_policy(config: Any) -> VersionPolicy:
    policy = config.version_policy
    match policy.WhichOneof("policy_choice"):
        case "all":
            return VersionPolicy(latest=None)
        case "specific":
            return VersionPolicy(specific=tuple(policy.specific.versions))
        case _:
            return VersionPolicy(latest=policy.latest.num_versions or 1)


def _warm_up(sample: Any, config: Any, where: str) -> WarmUp:
    declared = config.input[0]
    if set(sample.inputs) != {declared.name} or len(config.input) != 1:
        raise ConfigurationError(f"{where}: model_warmup '{sample.name}' must give the input '{declared.name}', only")
    tensor = sample.inputs[declared.name]
    size = max(1, sample.batch_size)
    fits = len(tensor.dims) == len(declared.dims) and all(
        given > 0 and given == dim if dim != -1 else given > 0
        for given, dim in zip(tensor.dims, declared.dims, strict=True)
    )
    if not fits or tensor.data_type != declared.data_type or size > config.max_batch_size:
        raise ConfigurationError(
            f"{where}: model_warmup '{sample.name}' does not fit the input '{declared.name}': it must have its "
            "data_type, sizes for all its dims, and a batch_size of at most max_batch_size"
        )
    return WarmUp((size, *tensor.dims), random=tensor.random_data, count=max(1, sample.count))
