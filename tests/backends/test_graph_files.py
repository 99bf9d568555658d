"""A file that is no whole graph is named, with what is wrong with it and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.tiny_models import CLASSIFIER_CONFIG, classifier_graph, with_weights_beside
from topfive.backends.graph_files import why_not_loaded
from topfive.backends.onnx_runtime import Graph
from topfive.ground.errors import ConfigurationError
from topfive.repository.model_config import parse_model_config

GRAPH = classifier_graph()


def refusal(path: Path) -> str:
    """Of a real attempt to load what lies there."""
    config = parse_model_config(CLASSIFIER_CONFIG, name="m", where="config.pbtxt")
    with pytest.raises(ConfigurationError) as caught:
        Graph(path, threads=1, inputs=config.inputs, outputs=config.outputs)
    assert str(caught.value).startswith(f"{path}: onnxruntime cannot load this graph: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty (0 bytes); copy it again"),
        (GRAPH[: len(GRAPH) // 2], f"cut short ({len(GRAPH) // 2} bytes); compare it with its original and copy it"),
        (GRAPH[:-1], f"cut short ({len(GRAPH) - 1} bytes)"),
        (bytes(5000), "it is no ONNX file, or damaged"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "run `git lfs pull`"),
        (b"PK\x03\x04" + bytes(99), "zip archive, as PyTorch's files are; export the model to ONNX"),
        (b"\x1f\x8b\x08" + bytes(99), "compressed with gzip; unpack it"),
        (b"<!DOCTYPE html><html>404</html>", "a web page"),
    ],
    ids=["empty", "half", "a byte short", "zeros", "git lfs", "zip", "gzip", "html"],
)
def test_a_file_that_is_no_whole_graph_is_told_by_what_it_is(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    assert says in refusal(path)


@pytest.mark.parametrize("weights", [None, b"1234"], ids=["missing", "cut short"])
def test_weights_in_another_file_that_is_not_whole_are_named(tmp_path: Path, weights: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(with_weights_beside("model.onnx.data"))
    if weights is not None:
        (tmp_path / "model.onnx.data").write_bytes(weights)
    message = refusal(path)
    assert "its weights are in another file" in message
    assert "copy it too, into the folder of the graph" in message
    if weights is None:
        assert f"'{tmp_path / 'model.onnx.data'}'" in message


def test_a_file_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    assert "let the service's user read it" in why_not_loaded(tmp_path / "gone.onnx", RuntimeError("no"))


def test_what_is_wrong_inside_is_told_in_the_runtimes_words(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(GRAPH)
    assert why_not_loaded(path, RuntimeError("no such operator")) == "no such operator"
