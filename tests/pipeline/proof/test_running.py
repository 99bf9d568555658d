from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.proof.running import Graph


def test_a_graph_says_what_it_takes_and_gives(tmp_path: Path) -> None:
    graph = Graph(networks.saved(networks.linear(), tmp_path), threads=1)
    assert (graph.input_name, graph.shape, graph.outputs) == ("image", ["N", 3, 4, 4], ("scores",))
    image = np.ones((2, 3, 4, 4), np.float32)
    (scores,) = graph.run(image, "scores")
    assert scores.shape == (2, 3)
    assert (graph.named(image)["scores"] == scores).all()


def test_a_half_precision_graph_takes_floats(tmp_path: Path) -> None:
    graph = Graph(networks.saved(networks.linear(dtype="float16"), tmp_path))
    assert graph.run(np.ones((1, 3, 4, 4), np.float32))[0].dtype == np.float16


def test_a_file_that_is_no_graph_is_named(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"none")
    with pytest.raises(ConfigurationError, match=r"model.onnx: onnxruntime cannot load this graph"):
        Graph(tmp_path / "model.onnx")


def test_an_input_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """Rather than a traceback of the runtime's: graphs of others fail on some sizes."""
    graph = Graph(networks.saved(networks.linear(), tmp_path))
    with pytest.raises(ConfigurationError, match=r"cannot run this graph on float32 \[1, 3, 5, 5\]"):
        graph.run(np.ones((1, 3, 5, 5), np.float32))
