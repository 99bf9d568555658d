from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest

from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.nodes import ELEMENT_TYPES, Nodes
from topfive_pipeline.graphs.tail import Ranking, Scored, add_embedding, add_tail

OPSETS = [7, 9, 10, 11, 13, 17, 20]
ELEMENTS = {
    "classes": onnx.TensorProto.STRING,
    "probabilities": onnx.TensorProto.FLOAT,
    "indices": onnx.TensorProto.INT64,
}


def tail(ranking: Ranking, shape: tuple[int, ...], *, dtype: str = "float32", opset: int = 17) -> Any:
    nodes = Nodes(opset=opset, prefix="tail/")
    scored = Scored(name="scores", dtype=dtype, rank=len(shape) + 1, classes=int(np.prod(shape)))
    add_tail(nodes, scored, ranking)
    return finished(nodes, "scores", shape, dtype, ELEMENTS)


def finished(nodes: Nodes, name: str, shape: tuple[int, ...], dtype: str, elements: dict[str, int]) -> Any:
    graph = onnx.helper.make_graph(
        nodes.nodes,
        "tail",
        [onnx.helper.make_tensor_value_info(name, ELEMENT_TYPES[dtype], ["N", *shape])],
        [onnx.helper.make_tensor_value_info(output, element, [None, None]) for output, element in elements.items()],
        nodes.initialisers,
    )
    model = onnx.helper.make_model(graph, ir_version=4, opset_imports=[onnx.helper.make_opsetid("", nodes.opset)])
    onnx.checker.check_model(model)
    return model


def scores(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(4).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("opset", OPSETS)
def test_the_best_five_come_first_with_their_labels(opset: int) -> None:
    ranking = Ranking(scores="softmax", labels=networks.names(10))
    given = scores(3, 10)
    got = networks.outputs(tail(ranking, (10,), opset=opset), scores=given)
    wanted = np.argsort(-given, axis=1)[:, :5]
    assert (got["indices"] == wanted).all()
    assert got["classes"].tolist() == [[f"label {index}" for index in row] for row in wanted]
    np.testing.assert_allclose(
        got["probabilities"], np.take_along_axis(networks.softmax(given), wanted, axis=1), rtol=1e-6
    )


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("shape", [(4, 1, 1), (1, 1, 4)])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_other_shapes_and_precisions_become_fp32_rows(shape: tuple[int, ...], dtype: str, opset: int) -> None:
    ranking = Ranking(scores="as-is", labels=networks.names(4))
    given = np.array([[0.1, 0.4, 0.3, 0.2]], dtype)
    got = networks.outputs(tail(ranking, shape, dtype=dtype, opset=opset), scores=given.reshape(1, *shape))
    assert got["probabilities"].dtype == np.float32
    assert got["probabilities"].tolist() == [np.array([0.4, 0.3, 0.2, 0.1], dtype).astype(np.float32).tolist()]


def test_logarithms_become_probabilities() -> None:
    ranking = Ranking(scores="exp", labels=networks.names(3))
    got = networks.outputs(tail(ranking, (3,)), scores=np.log(np.array([[0.2, 0.5, 0.3]], np.float32)))
    np.testing.assert_allclose(got["probabilities"], [[0.5, 0.3, 0.2]], rtol=1e-6)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize(("kind", "given"), [("sigmoid", np.log(0.8 / 0.2)), ("as-is", 0.8)])
def test_one_score_answers_for_two_labels(kind: Any, given: float, opset: int) -> None:
    model = tail(Ranking(scores=kind, labels=["cat", "dog"]), (1,), opset=opset)
    got = networks.outputs(model, scores=np.array([[given], [-given if kind == "sigmoid" else 0.2]], np.float32))
    assert got["classes"].tolist() == [["dog", "cat"], ["cat", "dog"]]
    assert got["indices"].tolist() == [[1, 0], [0, 1]]
    np.testing.assert_allclose(got["probabilities"], [[0.8, 0.2]] * 2, rtol=1e-6)


@pytest.mark.parametrize("opset", OPSETS)
def test_below_the_threshold_a_place_has_no_label(opset: int) -> None:
    ranking = Ranking(scores="as-is", labels=["a", "b", "c"], threshold=0.5)
    got = networks.outputs(
        tail(ranking, (3,), opset=opset), scores=np.array([[0.4, 0.9, 0.5], [0.1, 0, 0.2]], np.float32)
    )
    assert got["classes"].tolist() == [["b", "c", ""], ["", "", ""]]
    assert got["probabilities"].tolist() == [[np.float32(0.9), 0.5, 0], [0, 0, 0]]
    assert got["indices"].tolist() == [[1, 2, 0], [2, 0, 1]]


def test_there_are_never_more_places_than_labels() -> None:
    two, many = ["cat", "dog"], networks.names(20)
    assert Ranking(scores="softmax", labels=two).places == 2
    assert Ranking(scores="softmax", labels=two, top=9).places == 2
    assert Ranking(scores="softmax", labels=many).places == 5
    assert Ranking(scores="sigmoid", labels=many, threshold=0.5).places == 20
    assert Ranking(scores="sigmoid", labels=many, threshold=0.5, top=3).places == 3


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_embedding_is_one_row_for_each_image(dtype: str, opset: int) -> None:
    nodes = Nodes(opset=opset, prefix="tail/")
    add_embedding(nodes, "inner", dtype=dtype)
    model = finished(nodes, "inner", (6, 2, 1), dtype, {"embedding": onnx.TensorProto.FLOAT})
    given = scores(3, 6, 2, 1).astype(dtype)
    got = networks.outputs(model, inner=given)["embedding"]
    assert got.dtype == np.float32
    assert (got == given.reshape(3, 12)).all()


@pytest.mark.parametrize(
    ("ranking", "classes", "says"),
    [
        (Ranking(scores="softmax", labels=networks.names(4)), 5, "5 scores, and there are 4 labels.*a background"),
        (
            Ranking(scores="softmax", labels=networks.names(8)),
            5,
            "5 scores, and there are 8 labels; give one for each$",
        ),
        (Ranking(scores="sigmoid", labels=networks.names(3)), 1, "one score.*there are 3 labels; give two"),
        (Ranking(scores="softmax", labels=networks.names(2)), 1, "always 1; say --scores sigmoid"),
        (Ranking(scores="softmax", labels=networks.names(5), top=0), 5, "top is 0"),
        (Ranking(scores="sigmoid", labels=networks.names(5), threshold=1.5), 5, "threshold is 1.5"),
    ],
)
def test_what_does_not_fit_is_refused(ranking: Ranking, classes: int, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        tail(ranking, (classes,))
