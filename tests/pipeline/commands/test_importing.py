"""`topfive import` as somebody types it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any, Final

import pytest

from tests.pipeline import colours
from tests.pipeline.commands.conftest import Run
from tests.pipeline.graphs import networks
from tests.pipeline.importing import SAID, contents
from topfive.repository.reading import Repository
from topfive_pipeline.commands.importing import main
from topfive_pipeline.preprocessing.rules import Preprocessing
from topfive_pipeline.proof.photos import Photo

FLAGS: Final = [word for flag, value in SAID.items() for word in (f"--{flag}", value)]


class Stopped(BaseException):
    """Raised in place of an import."""


@pytest.fixture
def start(tmp_path: Path, small_photos: list[Photo], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The arguments of an import, but for its preprocessing, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    networks.saved(networks.linear(), tmp_path)
    (tmp_path / "pets.txt").write_text("ant\nbee\ncat\n", encoding="utf-8")
    photos = small_photos[0].path.parent
    return ["model.onnx", "--name", "pets", "--labels", "pets.txt", "--photos", str(photos)]


def test_one_command_writes_a_model_and_says_how_to_serve_it(run: Run, start: list[str], warm: None) -> None:
    ran = run(main, *start, *FLAGS)
    assert (ran.code, ran.err) == (0, "")
    assert set(Repository(Path("my_models")).read()) == {"pets", "pets_classify", "pets_resize"}
    for words in (
        "found network model.onnx",
        "read labels 3: ant, bee, cat (pets.txt)",
        "said resize squash, to 4 x 4 (--resize) resize bilinear (--interpolation)",
        "normalise scale 1/255 (--scale) normalise mean 0.5 (--mean) normalise std 0.25 (--std)",
        "proof resize ok largest difference",
        "server ok loaded by the server itself",
        "Written: 'pets' version 1, in my_models/pets_resize my_models/pets_classify my_models/pets",
        "topfive --model-repository my_models",
        "/v1/classify?model=pets'",
    ):
        assert words in ran.words


def test_what_is_assumed_is_printed_as_such(run: Run, start: list[str], unserved: None) -> None:
    ran = run(main, *start, *FLAGS)
    assert "assumed resize antialias (topfive's default) colour rgb (topfive's default)" in ran.words


def test_a_dry_run_proves_and_writes_nothing(run: Run, start: list[str], unserved: None) -> None:
    before = contents(Path.cwd())
    ran = run(main, *start, *FLAGS, "--dry-run")
    assert ran.code == 0
    assert "A dry run: nothing was written." in ran.words
    assert contents(Path.cwd()) == before


def test_a_failed_proof_names_the_step_and_exits_with_one(run: Run, start: list[str]) -> None:
    before = contents(Path.cwd())
    ran = run(main, *start, *FLAGS, "--scores", "as-is")
    assert ran.code == 1
    assert "network FAILED" in ran.words
    assert "Nothing was written: the first step that differs is 'network'." in ran.words
    assert contents(Path.cwd()) == before


def test_json_has_all_of_it_and_nothing_else(run: Run, start: list[str], unserved: None) -> None:
    ran = run(main, *start, *FLAGS, "--json", "--source", "ours")
    document: dict[str, Any] = json.loads(ran.out)
    assert (document["name"], document["version"]) == ("pets", 1)
    assert [fact["about"] for fact in document["facts"]] == [
        *("network", "input", "batch", "output", "scores", "labels")
    ]
    assert document["preprocessing"]["mean"] == {"value": [0.5], "origin": "said", "where": "--mean"}
    assert document["preprocessing"]["crop"]["origin"] == "found"
    assert document["preprocessing"]["colour"]["origin"] == "assumed"
    assert document["warnings"] == []
    assert document["proof"]["passed"] is True
    assert [step["step"] for step in document["proof"]["steps"]] == [
        *("resize", "network", "end to end", "batch", "server")
    ]
    assert document["proof"]["figures"]["photos"] == 3
    assert document["written"] == [f"my_models/{folder}" for folder in ("pets_resize", "pets_classify", "pets")]


def test_json_of_a_failed_proof_says_so(run: Run, start: list[str]) -> None:
    ran = run(main, *start, *FLAGS, "--json", "--scores", "as-is")
    document = json.loads(ran.out)
    assert (ran.code, document["proof"]["passed"], document["written"]) == (1, False, [])


def test_without_a_preprocessing_it_lists_flags_and_lines_and_writes_nothing(run: Run, start: list[str]) -> None:
    before = contents(Path.cwd())
    ran = run(main, *start)
    assert ran.code == 2
    for flag in ("--resize", "--interpolation", "--scale", "--mean", "--std"):
        assert flag in ran.words.split("must be said")[1]
    assert "Nothing was written: a wrong preprocessing costs accuracy, and nothing would tell you." in ran.words
    lines = [line.strip() for line in ran.out.splitlines() if line.strip().startswith("topfive import ")]
    assert len(lines) > 10
    assert all(line.startswith(f"topfive import {shlex.join(start)} --resize ") for line in lines)
    assert contents(Path.cwd()) == before


def test_every_candidate_line_parses_and_says_another_preprocessing(
    run: Run, start: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And with one of them the model is imported: nothing else is missing."""
    candidates: dict[str, str] = json.loads(run(main, *start, "--json").out)["candidates"]
    said: list[Preprocessing] = []

    def refuse(planned: Any, *_: Any, **__: Any) -> Any:
        said.append(planned.rules)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr("topfive_pipeline.commands.importing.carry_out", refuse)
        for line in candidates.values():
            with pytest.raises(Stopped):
                run(main, *shlex.split(line)[2:])
    assert len(set(said)) == len(candidates) > 10


def test_a_candidate_line_imports(run: Run, start: list[str], unserved: None) -> None:
    candidates = json.loads(run(main, *start, "--json").out)["candidates"]
    ran = run(main, *shlex.split(candidates["torchvision"])[2:])
    assert ran.code == 0
    assert (Path("my_models") / "pets_classify" / "1" / "model.onnx").is_file()


def test_a_network_of_bytes_needs_no_normalisation_said(run: Run, start: list[str], unserved: None) -> None:
    """It normalises by itself; the lines that are offered say nothing else, and a preset that does is refused."""
    text = "net (uint8[N,4,4,3] image) => (float[N,3] scores) { x = Cast<to=1>(image) flat = Flatten<axis=1>(x) "
    model = networks.parsed(text + "scores = MatMul(flat, weights) }", weights=networks.matrix(48, 3) / 255)
    networks.saved(model, Path.cwd())
    document = json.loads(run(main, *start, "--json").out)
    assert [each["flag"] for each in document["missing"]] == ["--resize", "--interpolation"]
    assert document["candidates"]
    for line in document["candidates"].values():
        assert run(main, *shlex.split(line)[2:], "--dry-run").code == 0
    refused = run(main, *start, "--preset", "torchvision")
    assert (refused.code, "so it normalises them itself; say --scale 1" in refused.err) == (2, True)
    assert run(main, *start, "--preset", "torchvision", "--scale", "1", "--mean", "0", "--std", "1").code == 0


def test_candidate_lines_keep_all_that_was_said_of_other_things(run: Run, start: list[str]) -> None:
    others = ["--repository", "my models", "--top", "2", "--version", "3", "--tolerance", "0.01", "--replace"]
    candidates = json.loads(run(main, *start, *others, "--licence", "MIT", "--json").out)["candidates"]
    words = shlex.split(candidates["torchvision"])
    for flag, value in zip(others[::2], others[1::2], strict=False):
        assert words[words.index(flag) + 1] == value
    assert {"--replace", "MIT"} <= set(words)


def test_a_preset_or_a_file_says_the_preprocessing(run: Run, start: list[str], unserved: None) -> None:
    assert run(main, *start, "--preset", "torchvision").code == 0
    config = {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "input_size": [3, 4, 4], "crop_pct": 0.9}
    config |= {"interpolation": "bicubic", "architecture": "x", "label_names": ["x", "y", "z"]}
    Path("config.json").write_text(json.dumps(config), encoding="utf-8")
    given = [word for word in start if word not in ("--labels", "pets.txt")]
    ran = run(main, *given, "--from", "config.json", "--repository", "other")
    assert ran.code == 0
    assert "read labels 3: x, y, z (config.json)" in ran.words
    assert Path("other/pets/labels.txt").read_text(encoding="utf-8") == "x\ny\nz\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--version", "0"], "--version 0: a version is next, or a number from 1 on"),
        (["--labels", "none.txt"], "none.txt"),
        (["--photos", "none"], "--photos none: there is no such folder"),
        (["--name", "a/b"], "--name 'a/b': a name has letters"),
        (["--preset", "mine"], "mine"),
        (["--mean", "x"], "--mean x: it is no list of numbers"),
        (["--output", "none"], "the network has no output 'none'"),
        (["--embedding", "none"], "the network computes no value 'none'"),
        (["--crop", "8"], "the network takes 4"),
        (["--colour", "grey"], "the network takes three channels"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_exit_code_two(
    arguments: list[str], words: str, run: Run, start: list[str]
) -> None:
    before = contents(Path.cwd())
    ran = run(main, *start, *FLAGS, *arguments)
    assert ran.code == 2
    assert ran.err.startswith("topfive import: ")
    assert ran.err.count("\n") == 1
    assert words in ran.err
    assert contents(Path.cwd()) == before


def test_names_with_markup_are_shown_as_they_are(run: Run, start: list[str], unserved: None) -> None:
    """Rich would take brackets for a style, and `:cat:` for a picture of one."""
    Path("pets.txt").write_text("a [red]\n:cat: [/]\n:CAT: [/]\n", encoding="utf-8")
    ran = run(main, *start, *FLAGS, "--repository", "[bold]models")
    assert ran.code == 0
    assert "3: a [red], :cat: [/], :CAT: [/]" in ran.words
    assert "warning 1 name stands for more than one class: ':cat: [/]' for 1, 2" in ran.words
    assert "[bold]models/pets_resize" in ran.words


# ---- --find ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The arguments of an import of the network that tells colours apart, with 120 labelled photos."""
    folder = tmp_path_factory.mktemp("colours")
    model = networks.saved(colours.network(), folder)
    (folder / "labels.txt").write_text("\n".join(colours.LABELS), encoding="utf-8")
    photos = colours.write_photos(folder / "photos", 120)
    return [str(model), "--name", "colours", "--labels", str(folder / "labels.txt"), "--photos", str(photos)]


def test_find_puts_the_truth_first(run: Run, labelled: list[str]) -> None:
    """With what differs in nothing that these photos show: the filter, and a pixel of geometry."""
    ranked = json.loads(run(main, *labelled, "--find", "--json").out)["ranked"]
    best = {key: ranked[0]["rules"][key] for key in ("resize", "colour", "scale", "mean", "std")}
    truth = colours.RULES
    assert best == {
        "resize": "short-side",
        "colour": "rgb",
        "scale": truth.scale,
        "mean": list(truth.mean),
        "std": list(truth.std),
    }
    by_name = {each["name"]: each for each in ranked}
    assert not by_name["torchvision"]["clear"]
    assert by_name["torchvision"]["behind"] == pytest.approx(0, abs=0.05)
    for wrong in ("torchvision, BGR", "squash, bicubic, ImageNet", "squash, bilinear, 0..255", "keras-caffe"):
        assert by_name[wrong]["clear"], by_name[wrong]
        assert by_name[wrong]["loss"] > by_name["torchvision"]["loss"]
    assert ranked[0]["photos"] == 120
    assert min(each["photos"] for each in ranked) == 60, "the hopeless are given up"


def test_find_says_what_cannot_be_told_apart_and_how_to_import(run: Run, labelled: list[str]) -> None:
    ran = run(main, *labelled, "--find")
    assert ran.code == 0
    assert "120 photos (the hopeless got fewer)" in ran.words
    together = ran.words.split("These photos cannot tell it from: ")[1].split(". Take the one")[0].split("; ")
    assert 0 < len(together) < 6
    assert not [name for name in together if "BGR" in name or "squash" in name]
    (line,) = (line.strip() for line in ran.out.splitlines() if line.strip().startswith("topfive import "))
    assert "--mean 0.485,0.456,0.406" in line
    assert "clearly worse" in ran.words


def test_find_ranks_what_was_said_too(run: Run, labelled: list[str]) -> None:
    """Once: not again under the name of the preset."""
    ran = run(main, *labelled, "--find", "--json", "--preset", "torchvision")
    ranked = json.loads(ran.out)["ranked"]
    assert [each["name"] for each in ranked if each["name"] in ("as said", "torchvision")] == ["as said"]


def test_find_needs_labels_and_fifty_photos(run: Run, labelled: list[str], start: list[str]) -> None:
    ran = run(main, *start, "--find")
    assert ran.code == 2
    assert "--find needs at least 50 photos whose class is known, and 0 are" in ran.err
    ran = run(main, *(word for word in labelled if "labels" not in word), "--find")
    assert "--labels must be said" in ran.err
