"""`topfive check` and `example` of repositories that are broken in one place: one line each, and no traceback."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import pytest

from tests.pipeline.commands.conftest import Run
from tests.pipeline.conftest import no_servers
from tests.pipeline.importing import edit, imported, wanted
from topfive_pipeline import checker
from topfive_pipeline.commands import checking, example
from topfive_pipeline.proof.photos import Photo


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_photos: list[Photo]) -> Path:
    """A repository with one model, `pets`."""
    folder = tmp_path_factory.mktemp("whole")
    with no_servers():
        done = imported(wanted(folder), folder / "models", small_photos)
    assert done.folders
    return folder / "models"


@pytest.fixture
def repository(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, of which no server is started."""

    @contextmanager
    def serve(_: Path) -> Iterator[None]:
        yield

    monkeypatch.setattr(checker, "serve", serve)
    shutil.copytree(whole, tmp_path / "models")
    return tmp_path / "models"


CLASSIFY = Path("pets_classify", "1", "model.onnx")
RESIZE = Path("pets_resize", "1", "model.onnx")


def with_another_input(model: Any) -> None:
    model.graph.input.append(onnx.helper.make_tensor_value_info("mask", onnx.TensorProto.FLOAT, [1]))


def without_probabilities(model: Any) -> None:
    model.graph.output.remove(next(each for each in model.graph.output if each.name == "probabilities"))


def test_a_whole_one_is_well(run: Run, repository: Path, small_photos: list[Photo]) -> None:
    assert run(checking.main, repository, "--photos", small_photos[0].path.parent).code == 0


@pytest.mark.parametrize(
    ("file", "spoil", "said"),
    [
        (CLASSIFY, lambda path: path.write_bytes(b"junk"), "it is no ONNX file, or damaged or cut short (4 bytes)"),
        (RESIZE, lambda path: path.write_bytes(b""), "it is empty (0 bytes)"),
        (CLASSIFY, lambda path: edit(path, with_another_input), "takes 2 inputs ('pixels', 'mask')"),
        (CLASSIFY, lambda path: edit(path, without_probabilities), "the graph has no output 'probabilities'"),
        (Path("pets/labels.txt"), lambda path: path.write_text("x\ny\nz\n"), "is not that line of labels.txt"),
    ],
)
def test_a_broken_model_fails_and_says_why(
    run: Run, repository: Path, small_photos: list[Photo], file: Path, spoil: Callable[[Path], Any], said: str
) -> None:
    spoil(repository / file)
    ran = run(checking.main, repository, "--photos", small_photos[0].path.parent)
    assert (ran.code, ran.err) == (1, "")
    assert said in ran.words


@pytest.mark.parametrize("stamp", ["{bad", "{}", "[]", "null", '{"resize": "zoom"}', '{"x": 1}'])
def test_a_preprocessing_that_is_stated_otherwise_counts_as_none(
    run: Run, repository: Path, small_photos: list[Photo], stamp: str
) -> None:
    def state(model: Any) -> None:
        next(each for each in model.metadata_props if each.key == "preprocessing").value = stamp

    edit(repository / RESIZE, state)
    ran = run(checking.main, repository, "--photos", small_photos[0].path.parent)
    assert ran.code == 0
    assert "does not state its preprocessing" in ran.words


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        (checking.main, ["nowhere"], "nowhere: there is no such folder; name a model repository"),
        (example.main, ["pets", "--repository", "nowhere"], "there is no such folder; name a model repository"),
        (example.main, ["pets", "--url", "x"], "--url x: it is no address of a service"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(run: Run, command: Any, words: list[str], said: str) -> None:
    ran = run(command, *words)
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert said in ran.err


def test_a_picture_that_is_none_proves_nothing(run: Run, repository: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    ran = run(checking.main, repository, "--photos", tmp_path / "photos")
    assert ran.code == 2
    assert "a.png: it cannot be read as a picture" in ran.err


def test_labels_that_are_no_text(run: Run, repository: Path) -> None:
    (repository / "pets" / "labels.txt").write_bytes(b"\xff\xfe\0")
    ran = run(checking.main, repository)
    assert (ran.code, "it is UTF-16 text; save it as UTF-8" in ran.err) == (2, True)
