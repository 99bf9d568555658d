"""Answers are those of the served graphs: the first label is the one that is served, the rest is of all classes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.importing import edit
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.judging.answering import Answers, answers_of
from topfive_pipeline.judging.subjects import Subject, find
from topfive_pipeline.proof.photos import Photo, read_photos
from topfive_pipeline.proof.running import Graph


@pytest.fixture(scope="module")
def photos(judged_folder: Path) -> list[Photo]:
    return read_photos(judged_folder / "photos")[:20]


@pytest.fixture
def copy(judged_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(judged_folder / "repository", tmp_path / "repository"))


def answered(repository: Path, photos: list[Photo], *asked: str) -> list[Answers]:
    return answers_of(find(asked, repository), photos, lambda *_: None)


def served(subject: Subject, photo: Photo) -> dict[str, Any]:
    assert subject.resize is not None
    (crop,) = Graph(subject.resize.path).run(np.asarray(photo.image())[np.newaxis])
    return dict(Graph(subject.classify.path).named(crop))


def test_they_are_what_is_served(judged_folder: Path, photos: list[Photo]) -> None:
    (subject,) = find(["pets:3"], judged_folder / "repository")
    (found,) = answers_of([subject], photos, lambda *_: None)
    for place, photo in enumerate(photos):
        answer = served(subject, photo)
        indices, chances = answer["indices"][0].tolist(), answer["probabilities"][0]
        assert found.first[place] == indices[0]
        assert photo.label is not None
        assert found.rank[place] == indices.index(photo.label)
        assert found.losses[place] == pytest.approx(-np.log(chances[indices.index(photo.label)]), rel=1e-4)
    assert found.classes == 3


def test_changes_are_counted_from_the_first_model(judged_folder: Path, photos: list[Photo]) -> None:
    first, same, other = answered(judged_folder / "repository", photos, "pets:1", "pets:2", "pets:3")
    assert first.changes.max() == same.changes.max() == 0
    assert other.changes.max() > 0.3
    assert (same.losses == first.losses).all()


def test_progress_ends_with_all_photos(judged_folder: Path, photos: list[Photo]) -> None:
    told: list[tuple[int, int]] = []
    answers_of(find(["pets:1"], judged_folder / "repository"), photos, lambda *done: told.append(done))
    assert told == [(8, 20), (16, 20), (20, 20)]


def test_probabilities_that_are_an_output_already(copy: Path, photos: list[Photo]) -> None:
    def put_out(model: Any) -> None:
        (topk,) = (node for node in model.graph.node if node.op_type == "TopK")
        model.graph.output.append(onnx.helper.make_tensor_value_info(topk.input[0], onnx.TensorProto.FLOAT, ["N", 3]))

    (before,) = answered(copy, photos, "pets:1")
    edit(graph_path(copy, "pets_classify", 1), put_out)
    (after,) = answered(copy, photos, "pets:1")
    assert (after.losses == before.losses).all()


def test_equal_probabilities_are_ranked_as_they_are_served(copy: Path, photos: list[Photo]) -> None:
    def level(model: Any) -> None:
        (tensor,) = (each for each in model.graph.initializer if tuple(each.dims) == (3, 3))
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.zeros((3, 3), np.float32), tensor.name))

    edit(graph_path(copy, "pets_classify", 1), level)
    (found,) = answered(copy, photos, "pets:1")
    assert set(found.first) == {0}
    assert found.rank.tolist() == [photo.label for photo in photos]


def _no_numbers(model: Any) -> None:
    (tensor,) = (each for each in model.graph.initializer if tuple(each.dims) == (3, 3))
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.full((3, 3), np.nan, np.float32), tensor.name))


def test_what_cannot_be_judged_is_refused(copy: Path, photos: list[Photo], tmp_path: Path) -> None:
    edit(graph_path(copy, "pets_classify", 3), _no_numbers)
    graph_path(copy, "pets_classify", 2).write_bytes(b"none")
    for asked, words in (("pets:3", "pets:3: a probability is not a finite number"), ("pets:2", "it is no ONNX file")):
        with pytest.raises(ConfigurationError, match=words):
            answered(copy, photos, asked)
    with pytest.raises(ConfigurationError, match="its class is said to be 3, and the model has 3"):
        answered(copy, [Photo(photos[0].path, 3)], "pets:1")
    (tmp_path / "broken.png").write_bytes(b"none")
    with pytest.raises(ConfigurationError, match="cannot be read as a picture"):
        answered(copy, [Photo(tmp_path / "broken.png", 0)], "pets:1")
