from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.graphs.network import Network
from topfive_pipeline.graphs.outputs import choose_output, classes_of, expose


def giving(outputs: str, nodes: str, folder: Path, shape: str = "N,4") -> Network:
    return networks.network(networks.parsed(f"net (float[{shape}] image) => ({outputs}) {{ {nodes} }}"), folder)


def test_the_only_scores_are_found_beside_a_label_and_an_inner_layer(tmp_path: Path) -> None:
    network = giving(
        "int64[N] label, float[N,1,4,1] scores, float[N,2,2] inner",
        "label = ArgMax<axis=1,keepdims=0>(image) four = Constant<value_ints=[-1,1,4,1]>() "
        "scores = Reshape(image, four) two = Constant<value_ints=[-1,2,2]>() inner = Reshape(image, two)",
        tmp_path,
    )
    assert choose_output(network).name == "scores"
    assert classes_of(choose_output(network)) == 4


def test_of_several_scores_one_must_be_named(tmp_path: Path) -> None:
    network = giving("float[N,4] a, float[N,4] b", "a = Identity(image) b = Relu(image)", tmp_path)
    with pytest.raises(ConfigurationError, match=r"--output a \(float32 \[N,4\]\); --output b"):
        choose_output(network)
    assert choose_output(network, "b").name == "b"
    assert choose_output(network, besides="b").name == "a"
    with pytest.raises(ConfigurationError, match=r"no output 'c'; it has 'a' float32 \[N,4\], 'b'"):
        choose_output(network, "c")


@pytest.mark.parametrize(
    ("output", "nodes", "shape", "says"),
    [
        (
            "float[N,3,4,4] mask",
            "mask = Relu(image)",
            "N,3,4,4",
            r"output shape 'mask' float32 \[N,3,4,4\].*segmentation",
        ),
        ("float[N,2,2] boxes", "s = Constant<value_ints=[-1,2,2]>() boxes = Reshape(image, s)", "N,4", "detectors"),
        ("int64[N] label", "label = ArgMax<axis=1,keepdims=0>(image)", "N,4", "gives no scores.*'label' int64"),
        ("float[4] row", "row = ReduceMean<axes=[0],keepdims=0>(image)", "N,4", "a row for each image"),
    ],
)
def test_what_is_no_classifier_is_refused(output: str, nodes: str, shape: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=says):
        choose_output(giving(output, nodes, tmp_path, shape))


def test_an_inner_value_becomes_an_output(tmp_path: Path) -> None:
    network = expose(networks.network(networks.linear(), tmp_path), "flat")
    assert [value.described() for value in network.outputs] == ["'scores' float32 [N,3]", "'flat' float32 [N,48]"]
    assert expose(network, "flat") == network


def test_an_unknown_inner_value_is_answered_with_near_names(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="computes no value 'flatt'; near names: 'flat'"):
        expose(networks.network(networks.linear(), tmp_path), "flatt")


def test_what_has_no_row_for_each_image_is_no_embedding(tmp_path: Path) -> None:
    network = giving("float[N,4] scores", "whole = ReduceSum(image) scores = Add(image, whole)", tmp_path)
    with pytest.raises(ConfigurationError, match=r"'whole' .* is no embedding"):
        expose(network, "whole")
