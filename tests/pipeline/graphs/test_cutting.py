"""A network is found again in a classify graph, whoever built that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.graphs import networks
from tests.pipeline.graphs.networks import parsed
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.classify import build
from topfive_pipeline.graphs.cutting import cut
from topfive_pipeline.graphs.tail import Ranking
from topfive_pipeline.preprocessing.reference import network_input
from topfive_pipeline.preprocessing.rules import Colour, Preprocessing

LABELS = networks.names(3)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def rules(colour: Colour = "rgb", **fields: Any) -> Preprocessing:
    mean, std = ((0.5,), (0.25,)) if colour == "grey" else (MEAN, STD)
    given: dict[str, Any] = {"scale": 1 / 255, "mean": mean, "std": std, "colour": colour}
    return Preprocessing(resize="none", crop=(4, 4), **given | fields)


@pytest.mark.parametrize(
    ("shape", "said", "layout"),
    [
        ("N,3,4,4", rules(), "NCHW"),
        ("N,3,4,4", rules("bgr"), "NCHW"),
        ("N,3,4,4", rules(scale=1.0, mean=(127.0,), std=(128.0,)), "NCHW"),
        ("N,3,4,4", rules(scale=1.0, mean=(0.0,), std=(1.0,)), "NCHW"),
        ("N,4,4,3", rules(), "NHWC"),
        ("N,4,4,3", rules("bgr"), "NHWC"),
        ("N,1,4,4", rules("grey"), "NCHW"),
        ("N,4,4,1", rules("grey"), "NHWC"),
        ("N,48", rules(), "NHWC"),
        ("N,16", rules("grey"), "NHWC"),
    ],
)
@pytest.mark.parametrize("end", ["scores = Identity(raw)", "scores = Softmax<axis=1>(raw)"])
@pytest.mark.parametrize("opset", [9, 17])
def test_the_network_alone_puts_out_all_probabilities(
    shape: str, said: Preprocessing, layout: Any, end: str, opset: int, tmp_path: Path
) -> None:
    model = networks.linear(shape=shape, end=end, opset=opset)
    ranking = Ranking(scores="softmax" if "Identity" in end else "as-is", labels=LABELS)
    graph = build(networks.network(model, tmp_path), rules=said, ranking=ranking, name="net")
    found = cut(graph)
    assert found.channels == said.channels
    pixels = networks.pictures(5)
    tensor = network_input(pixels, said, layout=layout)
    (taken,) = (value.name for value in found.model.graph.input)
    assert found.layout == layout
    alone = networks.outputs(found.model, **{taken: tensor})[found.output]
    expected = networks.outputs(graph, pixels=pixels)
    assert np.sort(alone, axis=1)[:, ::-1] == pytest.approx(expected["probabilities"], abs=1e-6)
    assert (np.argsort(-alone, axis=1) == expected["indices"]).all()


HAND_MADE = (
    "net (uint8[N,4,4,3] pixels) => (string[N,3] classes, float[N,3] probabilities, int64[N,3] indices) {{ {body} "
    "k = Constant<value = int64[1] {{3}}>() {tail} classes = Gather(labels, indices) }}"
)
NO_NORMALISATION = (
    "floats = Cast<to=1>(pixels) flat = Flatten<axis=1>(floats) raw = MatMul(flat, weights) "
    "chances = Softmax<axis=1>(raw)"
)
TAIL = "probabilities, indices = TopK<axis=1>(chances, k)"


def hand_made(body: str, tail: str = TAIL) -> Any:
    model = parsed(HAND_MADE.format(body=body, tail=tail), weights=networks.matrix(48, 3))
    model.graph.initializer.append(labels_tensor())
    return model


def labels_tensor() -> Any:
    return onnx.helper.make_tensor("labels", onnx.TensorProto.STRING, [3], [label.encode() for label in LABELS])


def test_a_graph_made_by_hand_is_cut_where_its_arithmetic_ends() -> None:
    found = cut(
        hand_made(
            "floats = Cast<to=1>(pixels) half = Constant<value = float {127.5}>() centred = Sub(floats, half) "
            "scaled = Div(centred, half) planes = Transpose<perm=[0,3,1,2]>(scaled) flat = Flatten<axis=1>(planes) "
            "raw = MatMul(flat, weights) chances = Softmax<axis=1>(raw)"
        )
    )
    assert (found.layout, found.channels, found.output) == ("NCHW", 3, "chances")
    assert [value.name for value in found.model.graph.input] == ["planes"]
    assert "Cast" not in {node.op_type for node in found.model.graph.node}


@pytest.mark.parametrize(
    ("body", "tail", "words"),
    [
        ("chances = Constant<value = float[1,3] {1, 1, 1}>()", TAIL, "nothing to its pixels before the network"),
        (
            NO_NORMALISATION,
            "probabilities, first = TopK<axis=1>(chances, k) again, indices = TopK<axis=1>(chances, k)",
            "the graph has 2 TopK nodes",
        ),
    ],
    ids=["no head", "two TopK"],
)
def test_a_graph_that_hides_its_network_is_refused(body: str, tail: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        cut(hand_made(body, tail))
