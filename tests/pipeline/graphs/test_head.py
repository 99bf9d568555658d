from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from PIL import Image

from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.head import Taker, add_head
from topfive_pipeline.graphs.nodes import ELEMENT_TYPES, Nodes
from topfive_pipeline.preprocessing.rules import Colour, Preprocessing

OPSETS = [7, 9, 11, 13, 17, 20]
IMAGENET: dict[str, Any] = {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
AS_IS: dict[str, Any] = {"scale": 1.0, "mean": (0.0,), "std": (1.0,)}
HEIGHT, WIDTH = 5, 7


def rules(*, colour: Colour = "rgb", **normalisation: Any) -> Preprocessing:
    return Preprocessing(resize="none", crop=(HEIGHT, WIDTH), colour=colour, **normalisation)


def head(rules: Preprocessing, *, layout: Any = "NCHW", dtype: str = "float32", rank: int = 4, opset: int = 17) -> Any:
    nodes = Nodes(opset=opset, prefix="head/")
    output = add_head(nodes, rules, Taker(dtype=dtype, layout=layout, rank=rank))
    graph = onnx.helper.make_graph(
        nodes.nodes,
        "head",
        [onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, ["N", HEIGHT, WIDTH, 3])],
        [onnx.helper.make_tensor_value_info(output, ELEMENT_TYPES[dtype], [None] * rank)],
        nodes.initialisers,
    )
    model = onnx.helper.make_model(graph, ir_version=4, opset_imports=[onnx.helper.make_opsetid("", opset)])
    onnx.checker.check_model(model)
    return model


def result(model: Any, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return next(iter(networks.outputs(model, pixels=pixels).values()))


def pixels() -> npt.NDArray[np.uint8]:
    return networks.pictures(2, HEIGHT, WIDTH)


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("layout", ["NCHW", "NHWC", "flat"])
def test_pixels_become_the_input_in_every_layout_and_opset(layout: str, opset: int) -> None:
    got = result(head(rules(**IMAGENET), layout=layout, rank=2 if layout == "flat" else 4, opset=opset), pixels())
    wanted = (pixels() / 255 - IMAGENET["mean"]) / IMAGENET["std"]
    wanted = {"NCHW": wanted.transpose(0, 3, 1, 2), "NHWC": wanted, "flat": wanted.reshape(2, -1)}[layout]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, wanted, atol=1e-6)


@pytest.mark.parametrize("opset", OPSETS)
def test_bgr_takes_mean_and_std_in_the_order_of_the_network(opset: int) -> None:
    got = result(head(rules(colour="bgr", scale=1.0, mean=(104.0, 117.0, 123.0), std=(1.0,)), opset=opset), pixels())
    assert (got == pixels()[..., ::-1].transpose(0, 3, 1, 2) - np.array([104, 117, 123]).reshape(3, 1, 1)).all()


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_grey_is_pillows_to_the_level(dtype: str, opset: int) -> None:
    levels = np.random.default_rng(3).integers(0, 256, (40, HEIGHT, WIDTH, 3), np.uint8)
    levels[0] = 255
    wanted = np.stack([np.asarray(Image.fromarray(picture).convert("L")) for picture in levels])
    got = result(head(rules(colour="grey", **AS_IS), dtype=dtype, opset=opset), levels)
    assert got.shape == (40, 1, HEIGHT, WIDTH)
    assert (got[:, 0] == wanted).all()


def test_grey_without_a_dimension_for_channels() -> None:
    got = result(head(rules(colour="grey", **AS_IS), layout="flat", rank=3), pixels())
    assert got.shape == (2, HEIGHT, WIDTH)


def test_centred_bytes_stay_exact() -> None:
    levels = np.arange(HEIGHT * WIDTH * 3 * 3).astype(np.uint8).reshape(3, HEIGHT, WIDTH, 3)
    got = result(head(rules(scale=1.0, mean=(127.0,), std=(128.0,))), levels)
    assert (got == (levels.transpose(0, 3, 1, 2).astype(np.float64) - 127) / 128).all()


def test_equal_channels_are_normalised_by_one_number() -> None:
    model = head(rules(scale=1 / 255, mean=(0.5, 0.5, 0.5), std=(0.5,)))
    assert [tuple(tensor.dims) for tensor in model.graph.initializer] == [(), ()]


def test_nothing_to_normalise_is_no_node() -> None:
    assert [node.op_type for node in head(rules(**AS_IS)).graph.node] == ["Transpose", "Cast"]


@pytest.mark.parametrize("opset", OPSETS)
def test_half_precision_is_rounded_after_the_normalisation(opset: int) -> None:
    full = result(head(rules(**IMAGENET), opset=opset), pixels())
    half = result(head(rules(**IMAGENET), dtype="float16", opset=opset), pixels())
    assert half.dtype == np.float16
    assert (half == full.astype(np.float16)).all()


def test_bytes_stay_bytes_and_are_never_normalised() -> None:
    got = result(head(rules(colour="bgr", **AS_IS), dtype="uint8", layout="NHWC"), pixels())
    assert got.dtype == np.uint8
    assert (got == pixels()[..., ::-1]).all()
    with pytest.raises(ConfigurationError, match="say --scale 1 --mean 0 --std 1"):
        head(rules(**IMAGENET), dtype="uint8")


def test_numbers_that_fit_no_channels_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="mean has 2 numbers; give one, or one for each channel"):
        head(rules(scale=1.0, mean=(1.0, 2.0), std=(1.0,)))
    with pytest.raises(ConfigurationError, match="must not be 0"):
        head(rules(scale=1.0, mean=(1.0,), std=(0.0,)))
