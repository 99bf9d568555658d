"""What is right is computed from the served model's own files, or it is said why it cannot be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from loadtests.oracle import NoOracle, Oracle
from loadtests.run_plan import MODEL, REPOSITORY
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, classifier_graph, write_tiny_repository


def test_the_reference_model_knows_its_coffee(coffee: NDArray[np.uint8]) -> None:
    top = Oracle(REPOSITORY, MODEL).top(coffee)
    assert top.label == "espresso"
    assert 0.5 < top.margin < 1.0


def test_a_model_without_an_ensemble_is_run_alone(tmp_path: Path) -> None:
    oracle = Oracle(write_tiny_repository(tmp_path), "classify")
    assert [oracle.top(np.full((2, 2, 3), value, np.uint8)).label for value in (3, 200)] == ["value 3", "value 200"]


def test_a_model_of_one_size_says_which(tmp_path: Path) -> None:
    assert Oracle(write_tiny_repository(tmp_path), "classify").size == (2, 2)
    assert Oracle(REPOSITORY, MODEL).size is None


def test_the_graphs_that_were_run_are_named() -> None:
    assert [graph.parts[-3:] for graph in Oracle(REPOSITORY, MODEL).graphs] == [
        ("efficientnet_lite0_resize", "1", "model.onnx"),
        ("efficientnet_lite0_classify", "1", "model.onnx"),
    ]


def test_the_newest_version_is_the_highest_number(tmp_path: Path) -> None:
    repository = write_tiny_repository(tmp_path)
    graph = (repository / "classify" / "1" / "model.onnx").read_bytes()
    for version in ("2", "10"):
        (repository / "classify" / version).mkdir()
        (repository / "classify" / version / "model.onnx").write_bytes(graph)
    assert [graph.parent.name for graph in Oracle(repository, "classify").graphs] == ["10"]


def test_a_folder_without_the_model_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoOracle, match=r"config\.pbtxt cannot be read .*--model-repository"):
        Oracle(tmp_path, "flowers")


def test_a_model_without_an_onnx_graph_is_named(tmp_path: Path) -> None:
    repository = write_tiny_repository(tmp_path)
    (repository / "classify" / "1" / "model.onnx").unlink()
    with pytest.raises(NoOracle, match="only ONNX graphs can be judged"):
        Oracle(repository, "classify")


def test_of_two_graphs_the_one_that_the_server_runs_is_run(tmp_path: Path) -> None:
    named = 'parameters { key: "int8_model_filename" value { string_value: "q.onnx" } }'
    repository = write_tiny_repository(tmp_path, classify_config=CLASSIFIER_CONFIG + named)
    image = np.full((2, 2, 3), 3, np.uint8)
    assert Oracle(repository, "classify", in_int8=["classify"]).top(image).label == "value 3"  # this version has none
    (repository / "classify" / "1" / "q.onnx").write_bytes(classifier_graph(prefix="byte"))
    assert Oracle(repository, "classify", in_int8=["classify"]).top(image).label == "byte 3"
    assert Oracle(repository, "classify", in_int8=["another"]).top(image).label == "value 3"
