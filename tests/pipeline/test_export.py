"""An export is reproducible, says what it is made of, and leaves alone what is kept by hand."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tritonclient.grpc import model_config_pb2

from pipeline.layout import ARTEFACTS, CLASSIFY, RESIZE, SUMS
from pipeline.runtime import Graph

if TYPE_CHECKING:  # it needs the extra `export`
    from pipeline.export import Graphs

pytestmark = pytest.mark.untraced

CONFIGS = ("efficientnet_lite0", "efficientnet_lite0_classify", "efficientnet_lite0_resize")


@pytest.fixture(scope="module")
def again(graphs: Graphs, rebuilt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, written after `rebuilt` into a repository with configurations of its own, and a plain file."""
    from pipeline.export import write

    folder = tmp_path_factory.mktemp("again")
    for name in CONFIGS:
        (folder / name).mkdir()
        (folder / name / "config.pbtxt").write_text("# mine")
    written = write(graphs, folder, single=folder / "whole.onnx")
    assert sorted(written) == sorted([*(folder / path for path in ARTEFACTS), folder / "whole.onnx"])
    return folder


def test_what_is_written_twice_has_the_same_bytes(rebuilt: Path, again: Path) -> None:
    """Every artefact, the whole graph included; that two exports build the same, the next test says."""
    for path in (*ARTEFACTS, Path(SUMS)):
        assert (rebuilt / "repository" / path).read_bytes() == (again / path).read_bytes()
    assert (rebuilt / "single" / "1" / "model.onnx").read_bytes() == (again / "whole.onnx").read_bytes()


def test_the_committed_repository_is_what_the_recipe_makes(repository: Path, rebuilt: Path) -> None:
    """The files under model_repository/ are those of this source, these weights and these versions."""
    from pipeline.verify import compare

    assert compare(repository, rebuilt=rebuilt / "repository").reasons == ()


def test_configurations_are_kept(again: Path) -> None:
    """An export into a repository overwrites no config.pbtxt."""
    assert {(again / name / "config.pbtxt").read_text(encoding="utf-8") for name in CONFIGS} == {"# mine"}


@pytest.mark.parametrize("path", [RESIZE, CLASSIFY], ids=["resize", "classify"])
def test_a_graph_says_what_it_is_made_of(path: Path, repository: Path) -> None:
    """The parts are in metadata_props, in the order of their names."""
    onnx = pytest.importorskip("onnx", reason="onnx, of the extra `export`, is not installed")
    model = onnx.load(repository / path)
    keys = [entry.key for entry in model.metadata_props]
    wanted = {"licence", "producer", "exporter.onnx"}
    if path == CLASSIFY:
        wanted |= {f"weights.{part}" for part in ("package", "version", "sha256")}
        wanted |= {f"labels.{part}" for part in ("package", "version", "sha256")}
        wanted |= {"exporter.torch", "exporter.onnxscript", "preprocessing.normalisation"}
    else:
        wanted |= {"preprocessing.resize", "preprocessing.crop"}
    assert keys == sorted(keys)
    assert wanted <= set(keys)


@pytest.mark.parametrize("path", [RESIZE, CLASSIFY], ids=["resize", "classify"])
def test_a_graph_is_portable(path: Path, repository: Path) -> None:
    """Standard operators of one pinned opset only, and the exact names, types and shapes of the contract."""
    onnx = pytest.importorskip("onnx", reason="onnx, of the extra `export`, is not installed")
    model = onnx.load(repository / path)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 19)]
    assert {node.domain for node in model.graph.node} == {""}

    def declared(values: object) -> list[str]:
        return [onnx.helper.printable_value_info(value) for value in values]  # type: ignore[attr-defined]  # onnx is optional, so untyped

    form = (declared(model.graph.input), declared(model.graph.output))
    if path == RESIZE:
        assert form == (["%image[UINT8, NxHxWx3]"], ["%pixels[UINT8, Nx224x224x3]"])
    else:
        outputs = ["%classes[STRING, Nx5]", "%probabilities[FLOAT, Nx5]", "%indices[INT64, Nx5]"]
        assert form == (["%pixels[UINT8, Nx224x224x3]"], outputs)


def test_no_path_and_no_stack_trace(rebuilt: Path) -> None:
    """Nothing of the machine that exported is in the files: exporters like to leave where their code stood."""
    betrayals = [str(Path.cwd()), str(Path.home() / "x"), sys.prefix, tempfile.gettempdir() + "/"]
    betrayals += [".py", "site-packages", "Traceback", "stack_trace", "pkg.torch"]
    for path in rebuilt.rglob("*.onnx"):
        content = path.read_bytes()
        assert [word for word in betrayals if word.encode() in content] == []


def test_the_whole_graph_answers_as_the_two_do(rebuilt: Path, photos: dict[str, Image.Image]) -> None:
    """One file or two: the same bits."""
    resize, classify = Graph(rebuilt / "repository" / RESIZE), Graph(rebuilt / "repository" / CLASSIFY)
    whole = Graph(rebuilt / "single" / "1" / "model.onnx")
    for photo in photos.values():
        image = np.asarray(photo)[np.newaxis]
        for one, other in zip(whole(image), classify(resize(image)[0]), strict=True):
            assert one.tolist() == other.tolist()


def test_configurations_are_tritons(rebuilt: Path) -> None:
    """All parse with Triton's own protobuf and are called as their folders are."""
    paths = [*(rebuilt / "repository").glob("*/config.pbtxt"), rebuilt / "single" / "config.pbtxt"]
    assert len(paths) == 4
    for path in paths:
        config = text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())
        assert config.name == path.parent.name
        assert config.max_batch_size == 16


def test_sums_list_every_artefact(repository: Path) -> None:
    """SHA256SUMS names what the recipe makes, and not the configurations, which are kept by hand."""
    lines = (repository / SUMS).read_text(encoding="utf-8").splitlines()
    assert [line.split("  ")[1] for line in lines] == [path.as_posix() for path in ARTEFACTS]
