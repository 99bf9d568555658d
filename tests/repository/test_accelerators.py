"""The engine is chosen as for Triton's ONNX Runtime backend; what cannot be honoured is refused by name."""

from __future__ import annotations

from typing import Final

import pytest

from topfive.ground.errors import ConfigurationError
from topfive.repository.model_config import ModelConfig, parse_model_config

PLAIN: Final = """
    backend: "onnxruntime"
    max_batch_size: 16
    input { name: "image" data_type: TYPE_UINT8 dims: [ 224, 224, 3 ] }
    output { name: "classes" data_type: TYPE_STRING dims: [ 5 ] }
"""


def accelerated(*accelerators: str) -> str:
    """In the form of Triton's documentation."""
    listed = ", ".join(f"{{ {each} }}" for each in accelerators)
    return f"{PLAIN} optimization {{ execution_accelerators {{ cpu_execution_accelerator : [ {listed} ] }} }}"


def parse(text: str, *, on_triton: bool = False) -> ModelConfig:
    return parse_model_config(text, name="cat", where="config.pbtxt", on_triton=on_triton)


def openvino(key: str, value: str) -> str:
    return f'name: "openvino" parameters {{ key: "{key}" value: "{value}" }}'


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (PLAIN, ("onnxruntime", "fp32")),
        (accelerated('name : "openvino"'), ("openvino", "fp32")),
        (accelerated(openvino("precision", "bf16")), ("openvino", "bf16")),
        (accelerated(openvino("precision", "BF16")), ("openvino", "bf16")),
        (accelerated(openvino("precision", "fp32")), ("openvino", "fp32")),
    ],
)
def test_the_engine_and_its_precision_are_chosen_by_the_accelerator(text: str, chosen: tuple[str, str]) -> None:
    config = parse(text)
    assert (config.engine, config.precision) == chosen


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (accelerated('name: "onednn"'), "the cpu_execution_accelerator 'onednn' is not one that is served"),
        (accelerated(openvino("num_streams", "2")), "the parameter 'num_streams'"),
        (accelerated(openvino("precision", "fp16")), "is 'fp16'; it must be fp32 or bf16"),
        (accelerated('name: "openvino"', 'name: "openvino"'), "more than one cpu_execution_accelerator"),
        (accelerated('name: "openvino"') + "instance_group { kind: KIND_GPU }", "set KIND_CPU"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^config\.pbtxt: ") as refused:
        parse(text)
    assert says in str(refused.value)


def test_a_model_that_triton_runs_may_ask_triton_for_any() -> None:
    assert parse(accelerated('name: "onednn"'), on_triton=True).engine == "onnxruntime"


def test_an_ensemble_has_none() -> None:
    ensemble = accelerated('name: "openvino"').replace('backend: "onnxruntime"', 'platform: "ensemble"')
    with pytest.raises(ConfigurationError, match="an ensemble has no optimization"):
        parse(ensemble + 'ensemble_scheduling { step { model_name: "resize" } }')
