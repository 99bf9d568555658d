"""The options of ONNX Runtime's providers for NVIDIA GPUs: pure functions of what a config.pbtxt says.

The options' names are those of ONNX Runtime's documentation ("CUDA Execution Provider", "TensorRT Execution Provider").
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive.repository.gpu_accelerators import Gpu
from topfive.repository.precision import has_scales

CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"

_CUDA_OPTIONS: Final = {
    "use_tf32": "0",  # TF32 has 10 bits of mantissa, which would give other probabilities than the CPU
    "cudnn_conv_algo_search": "HEURISTIC",  # an exhaustive search at each new batch size takes seconds
}

Provider = tuple[str, dict[str, str]]
"""A provider's name, and its options."""


def gpu_providers(path: Path, gpu: Gpu, engine_cache: Path | None) -> list[Provider]:
    """The providers for the graph at `path`, first choice first: CUDA takes what TensorRT cannot run.

    `engine_cache`: the folder within which TensorRT may keep its engines; None if there is none. Raises
    `ConfigurationError` if the graph, or that folder, is not what `gpu` needs.
    """
    cuda = (CUDA, {**_CUDA_OPTIONS, **dict(gpu.cuda_options)})
    if not gpu.tensorrt:
        return [cuda]
    return [(TENSORRT, _tensorrt_options(path, gpu, engine_cache)), cuda]


def _tensorrt_options(path: Path, gpu: Gpu, engine_cache: Path | None) -> dict[str, str]:
    options = {} if gpu.precision == "fp32" else {f"trt_{gpu.precision}_enable": "1"}
    if gpu.precision == "int8" and not has_scales(path):
        raise ConfigurationError(
            f"{path}: its config.pbtxt asks TensorRT for INT8, and the graph has no QuantizeLinear and "
            "DequantizeLinear that say by which scales; serve a version that `topfive optimise` has written, or set "
            "precision_mode FP16"
        )
    if gpu.workspace_bytes:
        options["trt_max_workspace_size"] = str(gpu.workspace_bytes)
    if gpu.engine_cache is not None:
        folder = str(_cache_folder(path, gpu.engine_cache, engine_cache))
        options |= {"trt_engine_cache_enable": "1", "trt_engine_cache_path": folder}
    return options


def _cache_folder(path: Path, wanted: str, engine_cache: Path | None) -> Path:
    """The folder `wanted` within `engine_cache`, made if it is not there yet."""
    if engine_cache is None:
        raise ConfigurationError(
            f"{path}: its config.pbtxt says trt_engine_cache_enable, and nothing may be kept: set engine_cache_folder "
            "to a folder that the service may write to, or remove the parameter"
        )
    folder = (engine_cache / wanted).resolve()
    if not folder.is_relative_to(engine_cache.resolve()):
        raise ConfigurationError(
            f"{path}: the trt_engine_cache_path '{wanted}' of its config.pbtxt leads out of '{engine_cache}' "
            "(engine_cache_folder); name a folder within it"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: TensorRT's engines cannot be kept in '{folder}' ({error.strerror}); let the service write there, "
            "or remove trt_engine_cache_enable from its config.pbtxt"
        ) from error
    return folder
