"""The engines and precisions that can be tried on this machine."""

from __future__ import annotations

from importlib.util import find_spec

from topfive.ground.errors import ConfigurationError
from topfive.machine.cpu_features import multiplies_bfloat16
from topfive.repository.accelerators import Engine, Precision


def engines(current: Engine, *, bf16: bool) -> list[tuple[Engine, Precision]]:
    """The engines and precisions to try beside the `current` one; raises `ConfigurationError` if bf16 cannot be."""
    installed = find_spec("openvino") is not None
    if bf16 and not installed:
        raise ConfigurationError("--bf16 needs the engine OpenVINO: pip install 'topfive[openvino]'")
    if bf16 and not multiplies_bfloat16():
        raise ConfigurationError(
            "--bf16: this processor does not multiply bfloat16 numbers (neither avx512_bf16 nor amx_bf16), so it would "
            "be slower than fp32; leave it out"
        )
    found: list[tuple[Engine, Precision]] = [("onnxruntime", "fp32")] if current == "openvino" else []
    if installed:
        found.append(("openvino", "fp32"))
    if bf16:
        found.append(("openvino", "bf16"))
    return found
