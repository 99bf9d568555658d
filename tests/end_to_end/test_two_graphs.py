"""Of a version with two graphs, the one that answers is the one that the log, the banner and the metrics tell of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pytest

from tests.testkit.serving_process import ServingProcess, serving
from tests.testkit.tiny_models import (
    BATCHING,
    CLASSIFIER_CONFIG,
    OUTPUTS,
    PIXELS,
    classifier_graph,
    config,
    write_model,
    write_tiny_repository,
)
from topfive.machine.cpu_features import dot_products_of_bytes

IMAGE: Final = bytes([7]) * 12
NAMED: Final = 'parameters { key: "int8_model_filename" value { string_value: "model.int8.onnx" } }\n'
FAST: Final = bool(dot_products_of_bytes())
"""Whether this processor is one that int8 graphs are served on."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny ensemble, whose second graph gives labels of another name."""
    folder = write_tiny_repository(tmp_path_factory.mktemp("two"), classify_config=CLASSIFIER_CONFIG + NAMED)
    (folder / "classify" / "1" / "model.int8.onnx").write_bytes(classifier_graph(prefix="byte"))
    return folder


def answered_by(service: ServingProcess, name: str) -> str:
    """Check that all say that the graph `name` is served; what it answers."""
    line = service.wait_for_log("model 'classify' version 1 is served, in ")
    assert f" from {name}" in json.loads(line)["message"]
    (model,) = json.loads(service.wait_for_log("classifying at"))["models"]
    assert service.metric("topfive_model_info", model="classify", precision=model["precision"]) == 1
    label: str = service.classify(IMAGE, height=2, width=2).labels[0]
    return label


def test_int8_is_served_where_the_processor_is_fast_at_it(repository: Path) -> None:
    with serving("--model-repository", str(repository)) as service:
        if FAST:
            assert answered_by(service, "model.int8.onnx") == "byte 7"
        else:
            assert answered_by(service, "model.onnx (not model.int8.onnx: this processor has none") == "value 7"


def test_fp32_forbids_it(repository: Path) -> None:
    with serving("--model-repository", str(repository), environment={"TOPFIVE_PRECISION": "fp32"}) as service:
        why = "model.onnx (not model.int8.onnx: the setting precision is 'fp32')"
        assert answered_by(service, why) == "value 7"
        assert service.metric("topfive_model_info", model="classify", engine="onnxruntime") == 1


def test_int8_is_refused_where_no_model_or_no_processor_has_it(tiny_repository: Path) -> None:
    with ServingProcess("--precision", "int8", "--model-repository", str(tiny_repository)) as process:
        assert process.wait() == 2
        said = "no config.pbtxt names one as parameters int8_model_filename" if FAST else "what the machine lacks"
        assert said in process.log[-1]


def test_an_int8_graph_must_have_what_its_configuration_declares(tmp_path: Path) -> None:
    """The checks at load are those of any graph, and name its file."""
    write_model(tmp_path, "m", config([PIXELS], OUTPUTS, BATCHING + NAMED), classifier_graph())
    wrong = ("pixel", *PIXELS[1:])
    (tmp_path / "m" / "1" / "model.int8.onnx").write_bytes(classifier_graph(wrong))
    if not FAST:  # it is not served here, and so not opened either
        with serving("--model-repository", str(tmp_path)) as service:
            service.wait_for_log("model 'm' version 1 is served, in ")
        return
    with ServingProcess("--model-repository", str(tmp_path)) as process:
        assert process.wait() == 2
        assert "1/model.int8.onnx: the graph has the tensors ['pixel']" in "".join(process.log)
