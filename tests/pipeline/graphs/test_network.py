from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs import weights
from topfive_pipeline.graphs.network import read

ONE = np.ones(1, np.float32)


@pytest.mark.parametrize(
    ("shape", "layout", "channels", "size"),
    [
        ("N,3,4,4", "NCHW", 3, (4, 4)),
        ("N,1,4,4", "NCHW", 1, (4, 4)),
        ("N,4,6,3", "NHWC", 3, (4, 6)),
        ("N,4,6,1", "NHWC", 1, (4, 6)),
        ("N,64", "flat", 1, (8, 8)),
        ("N,192", "flat", 3, (8, 8)),
        ("N,28,20", "flat", 1, (28, 20)),
        ("N,1152", "flat", 3, None),
    ],
)
def test_the_layout_is_told_by_the_shape(
    shape: str, layout: str, channels: int, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    found = networks.network(networks.linear(shape=shape), tmp_path)
    assert (found.layout, found.channels, found.size, found.batch) == (layout, channels, size, None)


@pytest.mark.parametrize(
    ("shape", "first", "layout"),
    [
        ("N,3,h,w", "a = Conv(image, kernel)", "NCHW"),
        ("N,c,h,w", "a = Conv(image, kernel)", "NCHW"),
        ("N,3,4,3", "a = Conv(image, kernel)", "NCHW"),
        ("N,3,4,3", "a = Transpose<perm=[0,3,1,2]>(image)", "NHWC"),
        # Hugging Face's networks look at the lengths of the dimensions first; and a quantised one.
        ("N,c,h,w", "lengths = Shape(image) a = Conv(image, kernel)", "NCHW"),
        ("N,c,h,w", "q = QuantizeLinear(image, step) d = DequantizeLinear(q, step) a = Conv(d, kernel)", "NCHW"),
    ],
)
def test_where_the_shape_tells_nothing_the_first_operator_does(
    shape: str, first: str, layout: str, tmp_path: Path
) -> None:
    model = networks.parsed(
        f"net (float[{shape}] image) => (float[N,k] scores) {{ {first} b = GlobalAveragePool(a) scores = Flatten(b) }}",
        kernel=networks.matrix(2, 3, 1, 1),
        step=np.array(0.1, np.float32),
    )
    found = networks.network(model, tmp_path)
    assert (found.layout, found.channels) == (layout, 3)
    assert found.outputs[0].shape == (None, 2 if "Conv" in first else 3)  # taken from a run


def test_a_layout_that_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    path = networks.saved(networks.linear(shape="N,3,4,3"), tmp_path)
    with pytest.raises(ConfigurationError, match=r"say --layout NCHW or --layout NHWC"):
        read(path)
    assert read(path, layout="NCHW").size == (4, 3)
    assert read(path, layout="NHWC").size == (3, 4)


def test_weights_that_are_inputs_become_constants(tmp_path: Path) -> None:
    """IR version 3 wants each initialiser among the inputs too."""
    model = networks.linear(opset=7, ir=3)
    model.graph.input.append(onnx.helper.make_tensor_value_info("weights", onnx.TensorProto.FLOAT, [48, 3]))
    found = networks.network(model, tmp_path)
    assert (found.input.name, found.ir_version, found.opset) == ("image", 4, 7)
    assert [value.name for value in found.model.graph.input] == ["image"]
    assert found.said[0].startswith("1 weights were declared as inputs")


def with_external_weights(folder: Path) -> Path:
    model = networks.linear()
    onnx.external_data_helper.convert_model_to_external_data(model, location="weights.bin", size_threshold=0)
    return networks.saved(model, folder)


def test_weights_in_another_file_are_taken_in(tmp_path: Path) -> None:
    found = read(with_external_weights(tmp_path))
    assert not found.external
    (tmp_path / "weights.bin").unlink()
    image = np.ones((2, 3, 4, 4), np.float32)
    wanted = networks.outputs(networks.linear(), image=image)["scores"]
    assert (networks.outputs(found.model, image=image)["scores"] == wanted).all()


def test_weights_too_large_for_one_file_stay_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "LARGEST_MESSAGE", 100)
    found = read(with_external_weights(tmp_path))
    assert found.external == {"weights.bin": tmp_path / "weights.bin"}
    assert "weights.bin" in found.said[0]


@pytest.mark.parametrize("harm", ["missing", "short", "outside", "absolute"])
def test_weights_that_cannot_be_had_are_refused(harm: str, tmp_path: Path) -> None:
    path = with_external_weights(tmp_path)
    says = {"missing": "missing; copy it", "short": "cut short", "outside": "outside", "absolute": "outside"}[harm]
    if harm == "missing":
        (tmp_path / "weights.bin").unlink()
    elif harm == "short":
        (tmp_path / "weights.bin").write_bytes(b"1234")
    else:
        model = onnx.load(path, load_external_data=False)
        location = "../weights.bin" if harm == "outside" else str(tmp_path / "weights.bin")
        model.graph.initializer[0].external_data[0].value = location
        networks.saved(model, tmp_path)
    with pytest.raises(ConfigurationError, match=says):
        read(path)


def _two_inputs() -> Any:
    return networks.parsed("net (float[N,3] a, float[N,3] b) => (float[N,3] scores) { scores = Add(a, b) }")


def _of(shape: str, dtype: str = "float") -> Any:
    return networks.parsed(f"net ({dtype}[{shape}] image) => ({dtype}[{shape}] scores) {{ scores = Identity(image) }}")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (_two_inputs(), r"takes 2 \('a', 'b'\); export it with the others as constants"),
        (_of("N,128", "int64"), "'image' int64 .* may take text"),
        (_of("N,3,4,4", "bfloat16"), "export the network in float32"),
        (_of("N,3,8,4,4"), "cannot hold images: four dimensions"),
        (_of("N"), "cannot hold images"),
        (_of("N,4,8,8"), "4 channels if it is NCHW|does not tell where"),
        (networks.linear(opset=6), "opset 6, .* oldest .* is 7; export it again with opset 13"),
    ],
    ids=["two inputs", "text", "bfloat16", "video", "no dimensions", "four channels", "old"],
)
def test_what_is_no_classifier_of_images_is_refused(model: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=says):
        networks.network(model, tmp_path)


def test_a_dictionary_of_scores_is_refused_with_the_remedy(tmp_path: Path) -> None:
    model = networks.parsed(
        "net (float[N,4] image) => (seq(map(int64,float)) z) { z = Identity(image) }".replace(
            "seq(map(int64,float))", "float[N,4]"
        ),
        domains=', "ai.onnx.ml" : 1',
    )
    node = onnx.helper.make_node("ZipMap", ["image"], ["z"], domain="ai.onnx.ml", classlabels_int64s=[0, 1, 2, 3])
    model.graph.node[0].CopyFrom(node)
    value = onnx.helper.make_map_type_proto(onnx.TensorProto.INT64, onnx.helper.make_tensor_type_proto(1, []))
    model.graph.output[0].type.CopyFrom(onnx.helper.make_sequence_type_proto(value))
    with pytest.raises(ConfigurationError, match=r"'z' is a list or a dictionary.*options=\{'zipmap': False\}"):
        networks.network(model, tmp_path)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04", "zip archive"),
        (b"hello world, no onnx", "no ONNX file"),
        (None, "cannot be read"),
    ],
)
def test_other_files_are_refused(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=says):
        read(path)


def test_functions_are_put_in_line(tmp_path: Path) -> None:
    model = networks.linear(ir=10)
    function = onnx.parser.parse_function(
        '<opset_import: ["" : 17], domain: "mine"> twice (x) => (y) { y = Add(x, x) }'
    )
    model.functions.append(function)
    model.opset_import.append(onnx.helper.make_opsetid("mine", 1))
    model.graph.node[2].op_type, model.graph.node[2].domain = "twice", "mine"
    found = networks.network(model, tmp_path)
    assert not found.model.functions
    image = np.ones((1, 3, 4, 4), np.float32)
    assert (
        networks.outputs(found.model, image=image)["scores"] == networks.outputs(model, image=image)["scores"]
    ).all()


def test_domains_listed_twice_are_listed_once(tmp_path: Path) -> None:
    model = networks.linear()
    model.opset_import.append(onnx.helper.make_opsetid("ai.onnx", 17))
    assert len(networks.network(model, tmp_path).model.opset_import) == 1


PER_CHANNEL = "scale, scale, scale, scale"


@pytest.mark.parametrize(
    ("opset", "node"),
    [
        (13, f"a, mean, var, saved_mean, saved_var = BatchNormalization(image, {PER_CHANNEL})"),
        (17, f"a, mean, var = BatchNormalization<training_mode=1>(image, {PER_CHANNEL})"),
        (17, "a = Dropout(image, ratio, yes)"),
    ],
)
def test_a_network_exported_in_training_mode_is_refused(opset: int, node: str, tmp_path: Path) -> None:
    path = networks.saved(with_first(node, opset=opset), tmp_path)
    with pytest.raises(ConfigurationError, match=r"exported in training mode.*\.eval\(\)"):
        read(path)


@pytest.mark.parametrize(
    "node",
    [
        f"a = BatchNormalization<training_mode=0>(image, {PER_CHANNEL})",
        "a = Dropout(image)",
        "a = Dropout(image, ratio)",
        "a, mask = Dropout(image, ratio, no)",
        # Weights that are standardised (timm's BiT) are so by a normalisation in training mode.
        f"w, mean, var = BatchNormalization<training_mode=1>(kernel, {PER_CHANNEL}) a = Conv(image, w)",
    ],
)
def test_what_does_nothing_in_evaluation_is_no_training(node: str, tmp_path: Path) -> None:
    assert networks.network(with_first(node, opset=17), tmp_path).channels == 3


def with_first(node: str, *, opset: int) -> Any:
    """A network that begins with `node`, which makes `a` of `image`."""
    return networks.parsed(
        f"net (float[N,3,4,4] image) => (float[N,3] scores) {{ {node} b = GlobalAveragePool(a) scores = Flatten(b) }}",
        opset=opset,
        scale=np.ones(3, np.float32),
        kernel=networks.matrix(3, 3, 1, 1),
        ratio=np.array(0.5, np.float32),
        yes=np.array(True),
        no=np.array(False),
    )
