"""What a `config.pbtxt` says of CUDA and TensorRT: `optimization.execution_accelerators.gpu_execution_accelerator`.

The names and their parameters are those of Triton's ONNX Runtime backend (its README, "ONNX Runtime with TensorRT
optimization" and "with CUDA Execution Provider optimization"); what is not listed here is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from topfive.ground.errors import ConfigurationError

_CACHE_PATH: Final = "trt_engine_cache_path"
_SWITCH: Final = {"0": "0", "1": "1", "false": "0", "true": "1"}
_TENSORRT: Final[Mapping[str, Mapping[str, str] | None]] = {
    "precision_mode": {"fp32": "FP32", "fp16": "FP16", "int8": "INT8"},
    "max_workspace_size_bytes": None,
    "trt_engine_cache_enable": _SWITCH,
    _CACHE_PATH: None,
}
_CUDA: Final[Mapping[str, Mapping[str, str] | None]] = {
    "cudnn_conv_algo_search": {
        **{name.lower(): name for name in ("EXHAUSTIVE", "HEURISTIC", "DEFAULT")},
        "0": "EXHAUSTIVE",
        "1": "HEURISTIC",
        "2": "DEFAULT",
    },
    "cudnn_conv_use_max_workspace": _SWITCH,
    "gpu_mem_limit": None,
    "arena_extend_strategy": {
        **{name.lower(): name for name in ("kNextPowerOfTwo", "kSameAsRequested")},
        "0": "kNextPowerOfTwo",
        "1": "kSameAsRequested",
    },
    "do_copy_in_default_stream": _SWITCH,
    "use_tf32": _SWITCH,
}
"""By parameter what ONNX Runtime calls a value, in lower case, of Triton's; None for a number of bytes."""
_PARAMETERS: Final = {"tensorrt": _TENSORRT, "cuda": _CUDA}
_NO_CALIBRATION: Final = (
    "int8 takes its scales from the graph here (QuantizeLinear and DequantizeLinear, as `topfive optimise` writes "
    "them), and no calibration table"
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """How ONNX Runtime is to run a graph on a GPU: by CUDA, and, if `tensorrt`, by TensorRT what that can run.

    `precision`: in which TensorRT computes, `fp32`, `fp16` or `int8`. `workspace_bytes`: what TensorRT may take while
    it runs; 0 for its default. `engine_cache`: the folder, within the one that the operator allows, in which TensorRT
    keeps the engines that it has built; None if it keeps none. `cuda_options`: by ONNX Runtime's own names.
    """

    tensorrt: bool = False
    precision: str = "fp32"
    workspace_bytes: int = 0
    engine_cache: str | None = None
    cuda_options: tuple[tuple[str, str], ...] = ()


def gpu_of(message: Any, name: str) -> Gpu:
    """What `message`, an `inference.ModelConfig` that `check_gpu_accelerators` lets pass, says of GPUs.

    `name`: of the model, after which its folder for engines is called unless the message says otherwise.
    """
    said = {each.name: each.parameters for each in _accelerators(message)}
    if "tensorrt" not in said:
        return Gpu(cuda_options=_options(said.get("cuda", {})))
    asked = said["tensorrt"]
    is_cached = _SWITCH.get(asked.get("trt_engine_cache_enable", "0").lower()) == "1"
    return Gpu(
        tensorrt=True,
        precision=asked.get("precision_mode", "FP32").lower(),
        workspace_bytes=int(asked.get("max_workspace_size_bytes", "0")),
        engine_cache=(asked.get("trt_engine_cache_path") or name) if is_cached else None,
        cuda_options=_options(said.get("cuda", {})),
    )


def _options(parameters: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """ONNX Runtime's own values of CUDA's parameters, whose names are the same."""
    found = []
    for key, value in sorted(parameters.items()):
        values = _CUDA[key]
        found.append((key, value if values is None else values[value.lower()]))
    return tuple(found)


def check_gpu_accelerators(message: Any, where: str) -> None:
    """Raise `ConfigurationError` unless the GPU's accelerators of `message` can be honoured."""
    accelerators = _accelerators(message)
    if not accelerators:
        return
    names = [each.name for each in accelerators]
    for each in accelerators:
        if each.name not in _PARAMETERS:
            raise ConfigurationError(
                f"{where}: the gpu_execution_accelerator '{each.name}' is not one that is served; it must be tensorrt "
                "or cuda"
            )
        if names.count(each.name) > 1:
            raise ConfigurationError(f"{where}: more than one gpu_execution_accelerator '{each.name}'; keep one")
        for key, value in each.parameters.items():
            _check_parameter(each.name, key, value, where)
    if not message.instance_group or any(group.kind != group.KIND_GPU for group in message.instance_group):
        raise ConfigurationError(
            f"{where}: the gpu_execution_accelerator {names[0]} runs on a GPU only; set instance_group.kind to "
            "KIND_GPU, or remove the accelerator"
        )


def _accelerators(message: Any) -> Any:
    return message.optimization.execution_accelerators.gpu_execution_accelerator


def _check_parameter(name: str, key: str, value: str, where: str) -> None:
    what = f"{where}: the parameter '{key}' of the gpu_execution_accelerator {name}"
    if key.startswith("int8_"):
        raise ConfigurationError(f"{what} is not honoured: {_NO_CALIBRATION}; remove it")
    known = _PARAMETERS[name]
    if key not in known:
        raise ConfigurationError(f"{what} is not honoured, only {', '.join(known)}; remove it")
    if key == _CACHE_PATH:
        path = PurePosixPath(value)
        if not value or path.is_absolute() or ".." in path.parts:
            raise ConfigurationError(
                f"{what} is '{value}'; it must be the name of a folder within the one of the setting "
                "engine_cache_folder, without .. and a / before it"
            )
    elif (values := known[key]) is None:
        if not (value.isascii() and value.isdigit() and int(value) > 0):
            raise ConfigurationError(f"{what} is '{value}'; it must be a number of bytes")
    elif value.lower() not in values:
        raise ConfigurationError(f"{what} is '{value}'; it must be {' or '.join(dict.fromkeys(values.values()))}")
