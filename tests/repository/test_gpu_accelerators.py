"""TensorRT and CUDA are chosen as for Triton's ONNX Runtime backend; what cannot be honoured is refused by name."""

from __future__ import annotations

from typing import Final

import pytest

from tests.repository.test_accelerators import PLAIN, parse
from topfive.ground.errors import ConfigurationError
from topfive.repository.gpu_accelerators import Gpu

ON_GPU: Final = "instance_group { kind: KIND_GPU }"


def accelerated(*accelerators: str, group: str = ON_GPU) -> str:
    """In the form of Triton's documentation."""
    listed = ", ".join(f"{{ {each} }}" for each in accelerators)
    return f"{PLAIN} {group} optimization {{ execution_accelerators {{ gpu_execution_accelerator : [ {listed} ] }} }}"


def named(name: str, **parameters: str) -> str:
    said = " ".join(f'parameters {{ key: "{key}" value: "{value}" }}' for key, value in parameters.items())
    return f'name : "{name}" {said}'


@pytest.mark.parametrize(
    ("accelerators", "gpu"),
    [
        ([], Gpu()),
        ([named("tensorrt")], Gpu(tensorrt=True)),
        (
            [named("tensorrt", precision_mode="FP16", max_workspace_size_bytes="1073741824")],
            Gpu(tensorrt=True, precision="fp16", workspace_bytes=1 << 30),
        ),
        ([named("tensorrt", precision_mode="INT8")], Gpu(tensorrt=True, precision="int8")),
        (
            [named("tensorrt", trt_engine_cache_enable="true", trt_engine_cache_path="cats/fp16")],
            Gpu(tensorrt=True, engine_cache="cats/fp16"),
        ),
        ([named("tensorrt", trt_engine_cache_enable="1")], Gpu(tensorrt=True, engine_cache="cat")),
        ([named("tensorrt", trt_engine_cache_path="cats")], Gpu(tensorrt=True)),
        (
            [named("cuda", gpu_mem_limit="4294967200", cudnn_conv_algo_search="0", use_tf32="true")],
            Gpu(
                cuda_options=(
                    ("cudnn_conv_algo_search", "EXHAUSTIVE"),
                    ("gpu_mem_limit", "4294967200"),
                    ("use_tf32", "1"),
                )
            ),
        ),
        (
            [named("tensorrt", precision_mode="FP16"), named("cuda", arena_extend_strategy="kSameAsRequested")],
            Gpu(tensorrt=True, precision="fp16", cuda_options=(("arena_extend_strategy", "kSameAsRequested"),)),
        ),
    ],
)
def test_parameters_mean_what_they_mean_on_triton(accelerators: list[str], gpu: Gpu) -> None:
    config = parse(accelerated(*accelerators) if accelerators else PLAIN)
    assert config.gpu == gpu
    assert config.runs_on == ("tensorrt" if gpu.tensorrt else "onnxruntime")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (accelerated(named("auto_io")), "the gpu_execution_accelerator 'auto_io' is not one that is served"),
        (accelerated(named("tensorrt"), named("tensorrt")), "more than one gpu_execution_accelerator 'tensorrt'"),
        (accelerated(named("tensorrt", precision_mode="BF16")), "is 'BF16'; it must be FP32 or FP16 or INT8"),
        (accelerated(named("tensorrt", max_workspace_size_bytes="1 GB")), "is '1 GB'; it must be a number of bytes"),
        (accelerated(named("tensorrt", max_workspace_size_bytes="0")), "it must be a number of bytes"),
        (accelerated(named("tensorrt", int8_calibration_table_name="a")), "and no calibration table; remove it"),
        (accelerated(named("tensorrt", trt_dla_enable="1")), "the parameter 'trt_dla_enable'"),
        (accelerated(named("tensorrt", trt_engine_cache_path="/etc")), "within the one of the setting"),
        (accelerated(named("tensorrt", trt_engine_cache_path="a/../../b")), "within the one of the setting"),
        (accelerated(named("tensorrt", trt_engine_cache_enable="yes")), "is 'yes'; it must be 0 or 1"),
        (accelerated(named("cuda", precision_mode="FP16")), "is not honoured, only cudnn_conv_algo_search, "),
        (accelerated(named("cuda", cudnn_conv_algo_search="3")), "it must be EXHAUSTIVE or HEURISTIC or DEFAULT"),
        (accelerated(named("tensorrt"), group=""), "set instance_group.kind to KIND_GPU"),
        (accelerated(named("cuda"), group="instance_group { kind: KIND_AUTO }"), "cuda runs on a GPU only"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^config\.pbtxt: ") as refused:
        parse(text)
    assert says in str(refused.value)


def test_a_model_that_triton_runs_may_ask_triton_for_any() -> None:
    config = parse(accelerated(named("tensorrt", max_workspace_size_bytes="much", trt_dla_enable="1")), on_triton=True)
    assert config.gpu == Gpu()
