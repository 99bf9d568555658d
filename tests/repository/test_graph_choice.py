"""Which of two graphs is served follows from the setting, the processor, the device and the files; never silently."""

from __future__ import annotations

from typing import Final

import pytest

from topfive.ground.errors import ConfigurationError
from topfive.repository.graph_choice import ChosenGraph, GraphChoice, Wish, graph_choice
from topfive.repository.model_config import ModelConfig, parse_model_config

VNNI: Final = ("avx512_vnni",)
BOTH: Final = ("model.onnx", "q.onnx")
TEXT: Final = """
    backend: "onnxruntime"
    max_batch_size: 4
    input { name: "image" data_type: TYPE_UINT8 dims: [ 8, 8, 3 ] }
    output { name: "classes" data_type: TYPE_STRING dims: [ 5 ] }
"""
NAMED: Final = TEXT + 'parameters { key: "int8_model_filename" value { string_value: "q.onnx" } }'


def config(text: str = NAMED) -> ModelConfig:
    return parse_model_config(text, name="cat", where="cat/config.pbtxt")


def chosen(
    precision: Wish, features: tuple[str, ...], *, backend: str = "embedded", has_gpu: bool = False, text: str = NAMED
) -> ChosenGraph:
    return graph_choice(precision, features, backend=backend, has_gpu=has_gpu).choose(config(text), BOTH)


@pytest.mark.parametrize("feature", ["avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"])
@pytest.mark.parametrize("precision", ["auto", "int8"])
def test_int8_is_served_where_bytes_are_multiplied_fast(precision: Wish, feature: str) -> None:
    assert chosen(precision, (feature,)) == ChosenGraph("q.onnx")


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (chosen("auto", ()), "this processor has none of avx512_vnni, avx_vnni, amx_int8, asimddp, i8mm"),
        (chosen("fp32", VNNI), "the setting precision is 'fp32'"),
        (chosen("auto", VNNI, backend="triton"), "the backend is 'triton'"),
        (chosen("auto", VNNI, backend="null"), "the backend is 'null'"),
        (chosen("auto", VNNI, has_gpu=True), "it may run on a GPU"),
        (chosen("int8", VNNI, text=NAMED + "instance_group { kind: KIND_GPU }"), "it may run on a GPU"),
        (GraphChoice().choose(config(), ("model.onnx",)), "this version has none"),
    ],
)
def test_where_it_is_not_served_it_is_said_why(found: ChosenGraph, why: str) -> None:
    assert found.filename == "model.onnx"
    assert found.why_not_int8.startswith(f"not q.onnx: {why}")


def test_a_model_that_is_kept_on_the_cpu_is_served_in_int8_beside_a_gpu() -> None:
    assert chosen("auto", VNNI, has_gpu=True, text=NAMED + "instance_group { kind: KIND_CPU }").filename == "q.onnx"


@pytest.mark.parametrize("precision", ["auto", "fp32", "int8"])
def test_a_model_that_names_none_has_one_graph_and_no_reason(precision: Wish) -> None:
    assert chosen(precision, VNNI, text=TEXT) == ChosenGraph("model.onnx")


def test_what_the_processor_lacks_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"lacks: .*avx512_vnni.* set 'auto' or 'fp32'"):
        graph_choice("int8", (), backend="embedded", has_gpu=False)


@pytest.mark.parametrize("backend", ["triton", "null"])
def test_int8_is_this_process_own_business(backend: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'int8' needs the backend 'embedded', for with '{backend}'"):
        graph_choice("int8", VNNI, backend=backend, has_gpu=False)
