from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from PIL import Image

from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs import weights
from topfive_pipeline.graphs.batch import free_batch
from topfive_pipeline.graphs.classify import build, serialised
from topfive_pipeline.graphs.outputs import expose
from topfive_pipeline.graphs.running import run, session
from topfive_pipeline.graphs.tail import Ranking
from topfive_pipeline.preprocessing.rules import Colour, Preprocessing

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LABELS = networks.names(networks.CLASSES)
SOFTMAX = Ranking(scores="softmax", labels=LABELS)


def rules(colour: Colour = "rgb", crop: tuple[int, int] = (4, 4)) -> Preprocessing:
    grey = colour == "grey"
    mean, std = ((0.5,), (0.25,)) if grey else (MEAN, STD)
    return Preprocessing(resize="none", crop=crop, colour=colour, scale=1 / 255, mean=mean, std=std)


def answer(model: Any, pixels: Any, name: str = "net") -> dict[str, Any]:
    assert model.graph.name == name
    return networks.outputs(model, pixels=pixels)


def normalised(pixels: Any, colour: Colour = "rgb") -> Any:
    if colour == "grey":
        grey = np.stack([np.asarray(Image.fromarray(picture).convert("L")) for picture in pixels])
        return ((grey[..., None] / 255 - 0.5) / 0.25).astype(np.float32)
    levels = pixels[..., ::-1] if colour == "bgr" else pixels
    return ((levels / 255 - MEAN) / STD).astype(np.float32)


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 20])
@pytest.mark.parametrize(
    ("shape", "colour"),
    [
        ("N,3,4,4", "rgb"),
        ("N,3,4,4", "bgr"),
        ("N,4,4,3", "rgb"),
        ("N,48", "rgb"),
        ("N,1,4,4", "grey"),
        ("N,16", "grey"),
    ],
)
def test_the_joined_graph_answers_as_its_parts_do(shape: str, colour: Colour, opset: int, tmp_path: Path) -> None:
    network = networks.network(networks.linear(shape=shape, opset=opset), tmp_path)
    model = build(network, rules=rules(colour), ranking=SOFTMAX, name="net")
    pixels = networks.pictures(5)
    got = answer(model, pixels)
    given = normalised(pixels, colour)
    given = {"N": given.reshape(5, -1), "3": given.transpose(0, 3, 1, 2), "1": given.transpose(0, 3, 1, 2), "4": given}[
        "N" if shape.count(",") == 1 else shape[2]
    ]
    wanted = networks.softmax(networks.outputs(network.model, image=given)["scores"])
    assert list(got) == ["classes", "probabilities", "indices"]
    assert (got["indices"] == np.argsort(-wanted, axis=1)).all()
    np.testing.assert_allclose(got["probabilities"], -np.sort(-wanted, axis=1), rtol=1e-4)
    assert got["classes"].tolist() == [[LABELS[index] for index in row] for row in got["indices"]]
    assert model.opset_import[0].version == opset


def test_shapes_are_declared(tmp_path: Path) -> None:
    network = networks.network(networks.linear(), tmp_path)
    model = build(network, rules=rules(), ranking=SOFTMAX, name="net", embedding="flat")
    declared = {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert declared == {
        "pixels": ["N", 4, 4, 3],
        "classes": ["N", 3],
        "probabilities": ["N", 3],
        "indices": ["N", 3],
        "embedding": ["N", 48],
    }


def test_half_precision_answers_in_fp32(tmp_path: Path) -> None:
    network = networks.network(networks.linear(dtype="float16"), tmp_path)
    got = answer(build(network, rules=rules(), ranking=SOFTMAX, name="net"), networks.pictures(2))
    assert got["probabilities"].dtype == np.float32
    np.testing.assert_allclose(got["probabilities"].sum(axis=1), 1, atol=1e-6)


def test_weights_of_ir_3_and_names_that_collide(tmp_path: Path) -> None:
    """The network's own values have the names of what is put around it."""
    model = networks.parsed(
        "net (float[N,3,4,4] pixels) => (float[N,3] probabilities) "
        "{ indices = Flatten(pixels) classes = MatMul(indices, embedding) probabilities = Softmax<axis=1>(classes) }",
        opset=9,
        ir=3,
        embedding=networks.matrix(48, 3),
    )
    model.graph.input.append(onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, [48, 3]))
    ranking = Ranking(scores="as-is", labels=LABELS)
    graph = build(networks.network(model, tmp_path), rules=rules(), ranking=ranking, name="net", embedding="indices")
    got = answer(graph, networks.pictures(2))
    assert list(got) == ["classes", "probabilities", "indices", "embedding"]
    np.testing.assert_allclose(
        got["embedding"], normalised(networks.pictures(2)).transpose(0, 3, 1, 2).reshape(2, -1), atol=1e-5
    )


def test_what_subgraphs_take_from_outside_keeps_its_name(tmp_path: Path) -> None:
    model = networks.parsed(
        "net (float[N,3,4,4] image) => (float[N,3] scores) { flat = Flatten(image) raw = MatMul(flat, weights) "
        "sum = ReduceSum<keepdims=0>(raw) positive = Greater(sum, zero) "
        "scores = If(positive) <then_branch = yes () => (float[N,3] a) { a = Add(raw, shift) }, "
        "else_branch = no () => (float[N,3] b) { b = Sub(raw, shift) }> }",
        weights=networks.matrix(48, 3),
        zero=np.array(0, np.float32),
        shift=np.array([0, 5, 0], np.float32),
    )
    network = networks.network(model, tmp_path)
    got = answer(build(network, rules=rules(), ranking=SOFTMAX, name="net"), networks.pictures(1))
    given = normalised(networks.pictures(1)).transpose(0, 3, 1, 2)
    wanted = networks.softmax(networks.outputs(model, image=given)["scores"])
    np.testing.assert_allclose(got["probabilities"], -np.sort(-wanted, axis=1), rtol=1e-4)


def test_other_domains_and_functions_stay(tmp_path: Path) -> None:
    """A function of another opset than the network's is not put in line."""
    model = networks.linear(ir=10, end="h = Identity(raw) g = Identity(h) scores = Identity(g)")
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    model.opset_import.append(onnx.helper.make_opsetid("mine", 1))
    function = onnx.parser.parse_function(
        '<opset_import: ["" : 16], domain: "mine"> twice (x) => (y) { y = Add(x, x) }'
    )
    model.functions.append(function)
    model.graph.node[2].op_type, model.graph.node[2].domain = "Gelu", "com.microsoft"
    model.graph.node[3].op_type, model.graph.node[3].domain = "twice", "mine"
    network = networks.network(model, tmp_path)
    graph = build(network, rules=rules(), ranking=SOFTMAX, name="net")
    got = answer(graph, networks.pictures(2))
    given = normalised(networks.pictures(2)).transpose(0, 3, 1, 2)
    wanted = networks.softmax(networks.outputs(model, image=given)["scores"])
    np.testing.assert_allclose(got["probabilities"], -np.sort(-wanted, axis=1), rtol=1e-4)


def test_an_image_by_image_network_gives_its_embedding_too(tmp_path: Path) -> None:
    model = networks.parsed(
        "net (float[1,3,4,4] image) => (float[1,3] scores) "
        "{ i = Gather<axis=0>(image, zero) inner = Reshape(i, s) scores = MatMul(inner, weights) }",
        zero=np.array(0, np.int64),
        s=np.array([1, 48]),
        weights=networks.matrix(48, 3),
    )
    freed = free_batch(expose(networks.network(model, tmp_path), "inner"))
    assert freed.by == "scan"
    graph = build(freed.network, rules=rules(), ranking=SOFTMAX, name="net", embedding="inner")
    got = answer(graph, networks.pictures(3))
    wanted = normalised(networks.pictures(3)).transpose(0, 3, 1, 2).reshape(3, -1)
    np.testing.assert_allclose(got["embedding"], wanted, atol=1e-5)


def test_weights_too_large_for_one_file_are_run_and_joined_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = networks.linear(shape="1,3,4,4")
    wanted = build(free_batch(networks.network(model, tmp_path)).network, rules=rules(), ranking=SOFTMAX, name="net")
    monkeypatch.setattr(weights, "LARGEST_MESSAGE", 100)
    onnx.external_data_helper.convert_model_to_external_data(model, location="large.bin", size_threshold=0)
    freed = free_batch(networks.network(model, tmp_path))
    graph = build(freed.network, rules=rules(), ranking=SOFTMAX, name="net")
    assert len(serialised(graph)) < len(serialised(wanted))
    pixels = networks.pictures(2)
    got = run(session(graph, freed.network.external), {"pixels": pixels})
    assert (got["probabilities"] == answer(wanted, pixels)["probabilities"]).all()


def test_nothing_of_the_exporter_is_left(tmp_path: Path) -> None:
    model = networks.linear(end="unused = Relu(raw) scores = Identity(raw)")
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(9), "forgotten"))
    model.doc_string = model.graph.doc_string = model.graph.node[0].doc_string = "/home/somebody"
    model.graph.initializer[0].doc_string = "/home/somebody"
    entry = model.graph.node[0].metadata_props.add()
    entry.key, entry.value = "stack_trace", "/home/somebody"
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("raw", onnx.TensorProto.FLOAT, [7, 7]))
    network = networks.network(model, tmp_path)
    data = serialised(build(network, rules=rules(), ranking=SOFTMAX, name="net"))
    for trace in (b"somebody", b"forgotten", b"unused"):
        assert trace not in data
    assert data == serialised(build(network, rules=rules(), ranking=SOFTMAX, name="net"))


@pytest.mark.parametrize(
    ("colour", "crop", "shape", "says"),
    [
        ("grey", (4, 4), "N,3,4,4", "takes colours: say --colour rgb or bgr"),
        ("rgb", (4, 4), "N,1,4,4", "takes grey pictures: say --colour grey"),
        ("rgb", (5, 4), "N,3,4,4", "takes 4 x 4 pixels, and the crop is 5 x 4; say --crop 4$"),
        ("rgb", (4, 4), "N,3,4,6", "takes 4 x 6 pixels, and the crop is 4 x 4; say --crop 4x6$"),
        ("rgb", (4, 4), "1,3,4,4", "takes 1 images at once, always; free its batch first"),
    ],
)
def test_rules_that_do_not_fit_are_refused(
    colour: Colour, crop: tuple[int, int], shape: str, says: str, tmp_path: Path
) -> None:
    network = networks.network(networks.linear(shape=shape), tmp_path)
    with pytest.raises(ConfigurationError, match=says):
        build(network, rules=rules(colour, crop), ranking=SOFTMAX, name="net")
