"""The engine that a `config.pbtxt` chooses for its graph, and the precision in which that computes.

It is chosen as for Triton's ONNX Runtime backend, by `optimization.execution_accelerators`. Triton ignores the
parameters of the accelerator `openvino`; here it has one, `precision`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive.repository.gpu_accelerators import check_gpu_accelerators

Engine = Literal["onnxruntime", "openvino"]
"""What runs a graph in this process; the names are also those of the packages."""
Precision = Literal["fp32", "bf16"]
"""In which numbers an engine computes what the graph has as floating point."""

_PRECISIONS: Final[dict[str, Precision]] = {"fp32": "fp32", "bf16": "bf16"}


def engine_of(message: Any) -> tuple[Engine, Precision]:
    """The engine and its precision that `message`, an `inference.ModelConfig`, asks for."""
    for accelerator in message.optimization.execution_accelerators.cpu_execution_accelerator:
        if accelerator.name == "openvino":
            return "openvino", _PRECISIONS.get(accelerator.parameters.get("precision", "").lower(), "fp32")
    return "onnxruntime", "fp32"


def check_accelerators(message: Any, where: str) -> None:
    """Raise `ConfigurationError` unless the accelerators of `message`, an `inference.ModelConfig`, can be honoured."""
    check_gpu_accelerators(message, where)
    accelerators = message.optimization.execution_accelerators.cpu_execution_accelerator
    if not accelerators:
        return
    for accelerator in accelerators:
        if accelerator.name != "openvino":
            raise ConfigurationError(
                f"{where}: the cpu_execution_accelerator '{accelerator.name}' is not one that is served; it must be "
                "openvino; or remove it, and ONNX Runtime runs the graph by itself"
            )
        for key, value in accelerator.parameters.items():
            _check_parameter(key, value, where)
    if len(accelerators) > 1:
        raise ConfigurationError(f"{where}: more than one cpu_execution_accelerator; keep one")
    if any(group.kind == group.KIND_GPU for group in message.instance_group):
        raise ConfigurationError(
            f"{where}: the cpu_execution_accelerator openvino runs on the CPU, but instance_group.kind is KIND_GPU; "
            "set KIND_CPU, or remove the accelerator"
        )


def _check_parameter(key: str, value: str, where: str) -> None:
    if key != "precision":
        raise ConfigurationError(
            f"{where}: the parameter '{key}' of the cpu_execution_accelerator openvino is not honoured, only "
            "precision; remove it"
        )
    if value.lower() not in _PRECISIONS:
        raise ConfigurationError(
            f"{where}: the precision of the cpu_execution_accelerator openvino is '{value}'; it must be "
            f"{' or '.join(_PRECISIONS)}; a graph that is quantised runs in INT8 with either"
        )
