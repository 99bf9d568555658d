"""Models are found as the server finds them, in one repository or in several, in any version that is there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.pipeline.importing import edit
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.judging import subjects
from topfive_pipeline.judging.answering import answers_of
from topfive_pipeline.judging.speed import paces_of
from topfive_pipeline.judging.subjects import find, other_labels
from topfive_pipeline.proof.photos import read_photos


def test_without_a_version_it_is_the_one_that_would_be_served(judged_folder: Path) -> None:
    (subject,) = find(["pets"], judged_folder / "repository")
    assert subject.title == "pets:3"
    assert subject.labels == ("red", "green", "blue")
    assert subject.resize is not None
    assert [part.path for part in subject.parts] == [
        graph_path(judged_folder / "repository", "pets_resize", 1),
        graph_path(judged_folder / "repository", "pets_classify", 3),
    ]


def test_a_version_that_is_not_served_can_be_judged(judged_folder: Path) -> None:
    (subject,) = find(["pets:1"], judged_folder / "repository")
    assert subject.classify.path == graph_path(judged_folder / "repository", "pets_classify", 1)


def test_a_model_of_another_repository(judged_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(judged_folder / "repository", tmp_path / "other")
    ours, theirs = find(["pets:1", f"{tmp_path}/other/pets:1"], judged_folder / "repository")
    assert ours.title == "pets:1"
    assert theirs.title == f"{tmp_path}/other/pets:1"
    assert theirs.classify.path.is_relative_to(tmp_path / "other")


def test_size_counts_what_lies_beside_the_graph(judged_folder: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(judged_folder / "repository", tmp_path / "repository")
    (subject,) = find(["pets:1"], repository)
    before = subject.classify.size_bytes
    assert before == subject.classify.path.stat().st_size
    (subject.classify.path.parent / "weights.bin").write_bytes(bytes(1000))
    assert subject.classify.size_bytes == before + 1000


def test_labels_that_are_written_otherwise_are_warned_of(judged_folder: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(judged_folder / "repository", tmp_path / "repository")
    (repository / "pets" / "labels.txt").write_text("crimson\ngreen\nblue\n", encoding="utf-8")
    subjects = find([f"{judged_folder}/repository/pets", "pets"], repository)
    (warning,) = other_labels(subjects)
    assert warning.startswith("1 of 3 labels of pets:3 are written otherwise than those of ")
    assert other_labels(find(["pets:1", "pets:2"], repository)) == []


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["dogs"], "has no model 'dogs' that clients can ask; it has pets$"),
        (["pets_classify"], "has no model 'pets_classify' that clients can ask; it has pets$"),
        (["pets:7"], r"'pets' has no version 7: .*model.onnx is missing; versions that are there: 1, 2, 3"),
        (["pets:1", "pets:1"], "pets:1 is asked for twice"),
        (["pets:3", "pets"], "pets:3 is asked for twice"),
        (["pets:new"], "'pets:new' is no model; say NAME, NAME:VERSION"),
        ([""], "'' is no model"),
        (["nowhere/pets"], "nowhere"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(asked: list[str], words: str, judged_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        find(asked, judged_folder / "repository")


def test_a_classifier_of_one_size_needs_an_ensemble(judged_folder: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(judged_folder / "repository", tmp_path / "repository")
    for folder in ("pets", "pets_resize"):
        shutil.rmtree(repository / folder)
    with pytest.raises(ConfigurationError, match="'pets_classify' takes images of one size only"):
        find(["pets_classify"], repository)


def test_a_classifier_of_any_size_is_judged_by_itself(judged_folder: Path, tmp_path: Path) -> None:
    repository = of_any_size(judged_folder / "repository", tmp_path / "repository")
    (subject,) = find(["pets_classify:1"], repository)
    assert subject.parts == (subject.classify,)
    (found,) = answers_of([subject], read_photos(judged_folder / "photos")[:3], lambda *_: None)
    assert len(found.rank) == 3
    first, *_ = paces_of([subject], [np.zeros((9, 8, 3), np.uint8)], batches=(1,), cores=1, rounds=1, progress=print)
    assert [pace.case for pace in first] == ["alone", "batch 1"]


def of_any_size(repository: Path, to: Path) -> Path:
    """A copy with the classifier alone; its network averages whatever it gets."""
    shutil.copytree(repository, to)
    for folder in ("pets", "pets_resize"):
        shutil.rmtree(to / folder)
    config = to / "pets_classify" / "config.pbtxt"
    config.write_text(config.read_text(encoding="utf-8").replace("8, 8, 3", "-1, -1, 3"), encoding="utf-8")

    def free(model: Any) -> None:
        for place, name in ((1, "H"), (2, "W")):
            model.graph.input[0].type.tensor_type.shape.dim[place].dim_param = name

    for version in (1, 2, 3):
        edit(graph_path(to, "pets_classify", version), free)
    return to


def test_a_model_is_judged_on_the_engine_that_serves_it(judged_folder: Path, tmp_path: Path) -> None:
    """Figures of another engine would be of a model that nobody serves."""
    repository = shutil.copytree(judged_folder / "repository", tmp_path / "repository")
    with (repository / "pets_classify" / "config.pbtxt").open("a", encoding="utf-8") as config:
        config.write('optimization { execution_accelerators { cpu_execution_accelerator { name: "openvino" } } }\n')
    served, changed = find(["pets", "pets@onnxruntime"], repository)
    assert (served.title, served.classify.config.engine) == ("pets:3", "openvino")
    assert (changed.title, changed.classify.config.engine) == ("pets:3@onnxruntime", "onnxruntime")
    assert changed.resize == served.resize


@pytest.fixture
def two_graphs(judged_folder: Path, tmp_path: Path) -> Path:
    """Versions 1 and 3 have a second graph, 4 bytes longer; it is said to be quantised, which is what its nodes say."""
    repository = Path(shutil.copytree(judged_folder / "repository", tmp_path / "repository"))
    with (repository / "pets_classify" / "config.pbtxt").open("a", encoding="utf-8") as config:
        config.write('parameters { key: "int8_model_filename" value { string_value: "q.onnx" } }\n')
    for version in (1, 3):
        path = graph_path(repository, "pets_classify", version)
        beside = path.with_name("q.onnx")
        shutil.copyfile(path, beside)
        edit(beside, lambda model: model.graph.node.add(op_type="QuantizeLinear"))
    return repository


@pytest.mark.parametrize(("flags", "file", "title"), [(("avx_vnni",), "q.onnx", "int8"), ((), "model.onnx", "fp32")])
def test_of_two_graphs_it_is_the_one_that_the_server_takes_here(
    flags: tuple[str, ...], file: str, title: str, two_graphs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subjects, "dot_products_of_bytes", lambda: flags)
    (subject,) = find(["pets"], two_graphs)
    assert (subject.classify.path.name, subject.title) == (file, f"pets:3@{title}")
    (original,) = find(["pets"], two_graphs, original=True)
    assert (original.classify.path.name, original.title) == ("model.onnx", "pets:3@fp32")


def test_a_precision_says_which_of_two_graphs(two_graphs: Path) -> None:
    one, other, alone = find(["pets:1@fp32", "pets:1@int8", "pets:2"], two_graphs)
    assert [each.classify.path.name for each in (one, other, alone)] == ["model.onnx", "q.onnx", "model.onnx"]
    assert [each.title for each in (one, other, alone)] == ["pets:1@fp32", "pets:1@int8", "pets:2"]
    assert one.classify.size_bytes == one.classify.path.stat().st_size
    assert other.classify.size_bytes == other.classify.path.stat().st_size
    with pytest.raises(ConfigurationError, match="its graph is not quantised"):
        find(["pets:2@int8"], two_graphs)
