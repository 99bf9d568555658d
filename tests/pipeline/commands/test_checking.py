"""`topfive check` as somebody types it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.pipeline import colours
from tests.pipeline.commands.conftest import Run
from tests.pipeline.conftest import no_servers
from tests.pipeline.importing import edit, imported, said, wanted
from topfive_pipeline import checker
from topfive_pipeline.commands.checking import main
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.judging.leakage import properties
from topfive_pipeline.proof.photos import Photo, read_photos
from topfive_pipeline.proof.verdict import Finding


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory, small_photos: list[Photo]) -> Path:
    """A folder with a repository whose preprocessing is not the network's, and 60 labelled photos."""
    folder = tmp_path_factory.mktemp("wrong")
    given = wanted(folder, colours.network(), said=said(interpolation="bicubic"), labels=colours.LABELS)
    with no_servers():
        imported(given, folder / "repository", small_photos)
    colours.write_photos(folder / "photos", 60)
    return folder


@pytest.fixture
def copy(wrong: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(wrong, tmp_path / "copy"))


def test_a_warning_is_no_failure(run: Run, wrong: Path, warm: None) -> None:
    ran = run(main, wrong / "repository", "--photos", wrong / "photos")
    assert (ran.code, ran.err) == (0, "")
    assert "pets proof resize ok images of all sizes give [8, 8, 3]" in ran.words
    assert "another preprocessing is clearly better warning the preprocessing '" in ran.words
    assert "all of them proof server ok" in ran.words


def test_photos_that_made_a_model_are_said_to_flatter_it(run: Run, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "_loaded", lambda _: Finding("server", None, "left out"))
    photos = read_photos(copy / "photos")
    graph = graph_path(copy / "repository", "pets_classify", 1)
    edit(graph, lambda model: onnx.helper.set_model_props(model, properties({"calibrate": photos[:2]})))
    ran = run(main, copy / "repository", "--photos", copy / "photos")
    names = f"{photos[0].name}, {photos[1].name}"
    assert f"warning its accuracy is flattered: 2 that calibrated pets ({names})" in ran.words


def test_a_model_that_does_not_hold_is_exit_code_one(run: Run, copy: Path) -> None:
    (copy / "repository" / "pets" / "labels.txt").write_text("x\ny\nz\n", encoding="utf-8")
    ran = run(main, copy / "repository")
    assert ran.code == 1
    assert "answers FAILED" in ran.words


def test_json_has_a_document_for_each_model(run: Run, wrong: Path, warm: None) -> None:
    ran = run(main, wrong / "repository", "--photos", wrong / "photos", "--json")
    document = json.loads(ran.out)
    assert [each["name"] for each in document] == ["pets", "all of them"]
    assert [each["passed"] for each in document] == [True, True]
    assert [step["step"] for step in document[0]["steps"]] == ["resize", "answers", "preprocessing"]
    assert len(document[0]["warnings"]) == 1


def _in_folders(photos: Path) -> None:
    lines = (photos / "labels.csv").read_text(encoding="utf-8").splitlines()[1:]
    (photos / "labels.csv").unlink()
    for name, index in (line.split(",") for line in lines):
        folder = photos / colours.LABELS[int(index)]
        folder.mkdir(exist_ok=True)
        (photos / name).rename(folder / name)


def _by_name(photos: Path) -> None:
    lines = (photos / "labels.csv").read_text(encoding="utf-8").splitlines()[1:]
    named = [f"{name},{colours.LABELS[int(index)]}" for name, index in (line.split(",") for line in lines)]
    (photos / "labels.csv").write_text("\n".join(["file,label", *named]), encoding="utf-8")


@pytest.mark.parametrize("arranged", [_in_folders, _by_name])
@pytest.mark.parametrize("labels", [False, True], ids=["labels of the models", "--labels"])
def test_photos_may_bear_the_names_of_their_classes(
    arranged: Callable[[Path], None], labels: bool, run: Run, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checker, "_loaded", lambda _: Finding("server", None, "left out"))
    arranged(copy / "photos")
    (copy / "labels.json").write_text(json.dumps(colours.LABELS), encoding="utf-8")
    flags = ["--labels", copy / "labels.json"] if labels else []
    ran = run(main, copy / "repository", "--photos", copy / "photos", "--json", *flags)
    assert (ran.code, ran.err) == (0, "")
    (said,) = (step["said"] for step in json.loads(ran.out)[0]["steps"] if step["step"] == "preprocessing")
    assert "of 60 photos" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none"], "none"),
        (["repository", "--photos", "none"], "--photos none: there is no such folder"),
        (["repository", "--labels", "none.txt", "--photos", "photos"], "none.txt: cannot be read"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_exit_code_two(
    arguments: list[str], words: str, run: Run, wrong: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(wrong)
    ran = run(main, *arguments)
    assert ran.code == 2
    assert ran.err.startswith("topfive check: ")
    assert ran.err.count("\n") == 1
    assert words in ran.err
