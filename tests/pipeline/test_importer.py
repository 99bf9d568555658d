"""An import writes what was proven, and nothing else, however it is damaged on the way."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline import importing
from tests.pipeline.conftest import warm_servers
from tests.pipeline.graphs import networks
from tests.pipeline.importing import LABELS, contents, imported, said, wanted
from topfive.ground.errors import ConfigurationError
from topfive_pipeline import importer
from topfive_pipeline.entry import configs, writing
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.entry.provenance import properties_of, sha256, stamped_rules
from topfive_pipeline.graphs import classify, resize
from topfive_pipeline.importer import Imported
from topfive_pipeline.proof.photos import Photo

Photos = list[Photo]


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory, small_photos: Photos) -> tuple[Path, Imported]:
    """A repository with one model, whose proof included a real server; and what the import said."""
    folder = tmp_path_factory.mktemp("proven")
    with warm_servers():
        return folder / "repository", imported(wanted(folder), folder / "repository", small_photos)


@pytest.fixture
def stated(proven: tuple[Path, Imported], tmp_path: Path) -> Path:
    """A copy of the proven repository, to change."""
    networks.saved(networks.linear(), tmp_path)
    return Path(shutil.copytree(proven[0], tmp_path / "repository"))


def test_what_is_proven_is_written_and_says_what_it_is_made_of(stated: Path, tmp_path: Path) -> None:
    assert sorted(contents(stated)) == [
        *("pets", "pets/1", "pets/1/.gitkeep", "pets/config.pbtxt", "pets/labels.txt"),
        *("pets_classify", "pets_classify/1", "pets_classify/1/model.onnx", "pets_classify/config.pbtxt"),
        *("pets_resize", "pets_resize/1", "pets_resize/1/model.onnx", "pets_resize/config.pbtxt"),
    ]
    assert (stated / "pets" / "labels.txt").read_text(encoding="utf-8") == "ant\nbee\ncat\n"
    properties = properties_of(onnx.load(graph_path(stated, "pets_classify", 1)))
    assert properties["network.sha256"] == sha256(tmp_path / "model.onnx")
    assert properties["network.file"] == "model.onnx"
    assert (properties["network.scores"], properties["labels.file"]) == ("softmax", "pets.txt")
    rules = importer.plan(wanted(tmp_path)).rules
    for graph in ("pets_resize", "pets_classify"):
        assert stamped_rules(properties_of(onnx.load(graph_path(stated, graph, 1)))) == rules
        assert str(tmp_path).encode() not in graph_path(stated, graph, 1).read_bytes()


def test_a_proof_has_every_step_and_its_figures(proven: tuple[Path, Imported]) -> None:
    proof = proven[1].proof
    assert [finding.step for finding in proof.findings] == ["resize", "network", "end to end", "batch", "server"]
    assert [finding.passed for finding in proof.findings] == [True, True, None, True, True]
    assert proof.figures["photos"] == 3
    assert proof.figures["tolerance"] == 1e-4
    assert proof.figures["pixel_levels_max"] <= 1
    assert proof.figures["same_first_label"] == 1
    assert proof.figures["network_difference_max"] <= 1e-6


def test_the_same_import_writes_the_same_bytes(
    stated: Path, tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    imported(wanted(tmp_path), tmp_path / "again", small_photos)
    assert contents(tmp_path / "again") == contents(stated)


def test_what_a_network_says_of_the_photos_that_trained_it_is_kept(
    tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    """So that they never judge it (`judging.leakage`)."""
    network = networks.linear()
    onnx.helper.set_model_props(network, {"photos.train": "0123456789abcdef", "author": "somebody"})
    imported(wanted(tmp_path, network), tmp_path / "repository", small_photos)
    properties = properties_of(onnx.load(graph_path(tmp_path / "repository", "pets_classify", 1)))
    assert properties["photos.train"] == "0123456789abcdef"
    assert "author" not in properties


def test_source_and_licence_are_kept_in_the_graph(tmp_path: Path, small_photos: Photos, unserved: None) -> None:
    imported(wanted(tmp_path, source="ours", licence="MIT"), tmp_path / "repository", small_photos)
    properties = properties_of(onnx.load(graph_path(tmp_path / "repository", "pets_classify", 1)))
    assert (properties["source"], properties["licence"]) == ("ours", "MIT")


# ---- damage, step by step -------------------------------------------------------------------------------------------


def _resized_otherwise(patch: pytest.MonkeyPatch, **fields: Any) -> None:
    build = resize.build
    patch.setattr(resize, "build", lambda rules, **named: build(replace(rules, **fields), **named))


def _joined_otherwise(patch: pytest.MonkeyPatch, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    build = classify.build
    patch.setattr(classify, "build", lambda network, **named: build(network, **named | change(named)))


def _with_rules(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda named: {"rules": replace(named["rules"], **fields)}


def _with_ranking(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda named: {"ranking": replace(named["ranking"], **fields)}


def _edited(patch: pytest.MonkeyPatch, change: Callable[[Any], None]) -> None:
    """Change the classify graph after it was built."""
    build = classify.build

    def built(network: Any, **named: Any) -> Any:
        model = build(network, **named)
        change(model)
        return model

    patch.setattr(classify, "build", built)


def _mix_rows(model: Any, *, more: Sequence[str] = ()) -> None:
    """Each image's scores depend on the others of its batch, by way of `more` operators; alone it answers as before."""
    (softmax,) = (node for node in model.graph.node if node.op_type == "Softmax")
    scores = softmax.input[0]
    added = [
        onnx.helper.make_node("ReduceMean", [scores], ["mean"], axes=[0]),
        onnx.helper.make_node("Sub", [scores, "mean"], ["apart"]),
    ]
    for name in more:
        added.append(onnx.helper.make_node(name, [added[-1].output[0]], [name]))
    added.append(onnx.helper.make_node("Add", [scores, added[-1].output[0]], ["mixed"]))
    place = list(model.graph.node).index(softmax)
    softmax.input[0] = "mixed"
    for number, node in enumerate(added):
        model.graph.node.insert(place + number, node)


def _spoil_batches(model: Any) -> None:
    """Numbers that are none, in batches only: the root of what lies below 0."""
    _mix_rows(model, more=("Abs", "Neg", "Sqrt"))


def _first_row_only(model: Any) -> None:
    """A batch gets one row, that of its first image."""
    for output in model.graph.output:
        (node,) = (node for node in model.graph.node if output.name in node.output)
        place = list(node.output).index(output.name)
        node.output[place] = f"all {output.name}"
        for other in model.graph.node:
            other.input[:] = [f"all {output.name}" if name == output.name else name for name in other.input]
        model.graph.node.append(onnx.helper.make_node("Slice", [f"all {output.name}", "zero", "one"], [output.name]))
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.array([number], np.int64), name) for number, name in ((0, "zero"), (1, "one"))
    )


DAMAGE: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = {
    "another filter": (lambda patch: _resized_otherwise(patch, interpolation="nearest"), "resize", "grey level"),
    "another crop": (lambda patch: _resized_otherwise(patch, crop=(5, 4)), "resize", "the resize graph gives (1, 5, 4"),
    "another mean": (lambda patch: _joined_otherwise(patch, _with_rules(mean=(0.4,))), "network", "more than 0.0001"),
    "bgr": (lambda patch: _joined_otherwise(patch, _with_rules(colour="bgr")), "network", "more than 0.0001"),
    "levels": (lambda patch: _joined_otherwise(patch, _with_rules(scale=1.0)), "network", "more than 0.0001"),
    "labels": (
        lambda patch: _joined_otherwise(patch, _with_ranking(labels=LABELS[::-1])),
        "network",
        "which is not that line of labels.txt",
    ),
    "softmax left out": (
        lambda patch: _joined_otherwise(patch, _with_ranking(scores="as-is")),
        "network",
        "they are no probabilities",
    ),
    "a batch mixes rows": (lambda patch: _edited(patch, _mix_rows), "batch", "together differ by"),
    "a batch spoils rows": (lambda patch: _edited(patch, _spoil_batches), "batch", "not a finite number"),
    "a batch loses rows": (lambda patch: _edited(patch, _first_row_only), "batch", "in a batch of 4"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("there", [False, True], ids=["new repository", "a version there"])
def test_nothing_is_written_unless_proven_and_the_first_step_that_differs_is_named(
    damage: str,
    there: bool,
    proven: tuple[Path, Imported],
    tmp_path: Path,
    small_photos: Photos,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    how, step, words = DAMAGE[damage]
    repository = tmp_path / "repository"
    networks.saved(networks.linear(), tmp_path)
    if there:
        shutil.copytree(proven[0], repository)
    before = contents(repository)
    how(monkeypatch)
    done = imported(wanted(tmp_path), repository, small_photos)
    assert done.folders == ()
    failure = done.proof.failure
    assert failure is not None
    assert (failure.step, done.proof.findings[-1]) == (step, failure)
    assert words in failure.said
    assert contents(repository) == before
    assert repository.exists() == there


def test_a_model_that_the_server_refuses_is_not_written(
    tmp_path: Path, small_photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step is a server as users start it."""
    texts = configs.config_texts
    monkeypatch.setattr(
        writing,
        "config_texts",
        lambda name, shape: {model: text.replace("4, 4, 3", "5, 5, 3") for model, text in texts(name, shape).items()},
    )
    failure = imported(wanted(tmp_path), tmp_path / "repository", small_photos).proof.failure
    assert failure is not None
    assert failure.step == "server"
    assert failure.said.startswith("the server cannot serve")
    assert "but UINT8 [-1, 5, 5, 3] (batch dimension first) in config.pbtxt" in failure.said
    assert not (tmp_path / "repository").exists()


def test_nothing_is_left_when_the_proof_is_interrupted(tmp_path: Path, small_photos: Photos, unserved: None) -> None:
    def interrupt(step: str) -> None:
        if step.startswith("classifying"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        importer.carry_out(importer.plan(wanted(tmp_path)), tmp_path / "repository", small_photos, progress=interrupt)
    assert not (tmp_path / "repository").exists()


def test_a_dry_run_proves_and_writes_nothing(
    stated: Path, tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    before = contents(stated)
    done = imported(wanted(tmp_path), stated, small_photos, dry_run=True)
    assert done.proof.failure is None
    assert (done.version, done.folders) == (2, ())
    assert contents(stated) == before
    imported(wanted(tmp_path), tmp_path / "new", small_photos, dry_run=True)
    assert not (tmp_path / "new").exists()


# ---- further versions -----------------------------------------------------------------------------------------------


def test_a_further_version_comes_beside_and_keeps_the_operators_configuration(
    stated: Path, tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    """Of the same preprocessing: no new resize graph. The labels are those of the newest version."""
    config = stated / "pets_classify" / "config.pbtxt"
    config.write_text(config.read_text(encoding="utf-8").replace("KIND_AUTO", "KIND_CPU, count: 2"), encoding="utf-8")
    before = contents(stated)
    model = importing.with_other_weights(networks.linear())
    done = imported(wanted(tmp_path, model, labels=("ant", "bee", "cow")), stated, small_photos)
    after = contents(stated)
    assert done.folders == (stated / "pets_classify" / "2",)
    assert sorted(after.keys() - before.keys()) == ["pets_classify/2", "pets_classify/2/model.onnx"]
    assert {path for path in before if before[path] != after[path]} == {"pets/labels.txt"}
    assert after["pets/labels.txt"] == b"ant\nbee\ncow\n"


def test_a_further_version_of_another_preprocessing_brings_its_resize_graph(
    stated: Path, tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    done = imported(wanted(tmp_path, said=said(interpolation="bicubic")), stated, small_photos)
    assert done.folders == (stated / "pets_resize" / "2", stated / "pets_classify" / "2")


def test_a_version_of_a_number_and_the_next_after_it(
    stated: Path, tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    assert imported(wanted(tmp_path), stated, small_photos, version=3).folders == (stated / "pets_classify" / "3",)
    assert imported(wanted(tmp_path), stated, small_photos).version == 4
    before = contents(stated)
    with pytest.raises(ConfigurationError, match=r"pets_classify/3 is there already; .*the next, 5"):
        imported(wanted(tmp_path), stated, small_photos, version=3)
    assert contents(stated) == before


def test_a_version_whose_resize_graph_is_there_is_refused(
    stated: Path, tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    """Where somebody removed the classifier of a version, and left the other half."""
    other = wanted(tmp_path, said=said(interpolation="bicubic"))
    imported(other, stated, small_photos)
    (stated / "pets_classify" / "2" / "model.onnx").unlink()
    (stated / "pets_classify" / "2").rmdir()
    before = contents(stated)
    with pytest.raises(ConfigurationError, match="pets_resize/2 is there already"):
        imported(wanted(tmp_path), stated, small_photos, version=2)
    assert contents(stated) == before
    assert imported(wanted(tmp_path), stated, small_photos).version == 3


def test_replace_writes_the_model_anew(stated: Path, tmp_path: Path, small_photos: Photos, unserved: None) -> None:
    imported(wanted(tmp_path), stated, small_photos)
    config = stated / "pets" / "config.pbtxt"
    config.write_text("# spoilt", encoding="utf-8")
    done = imported(wanted(tmp_path, labels=("x", "y", "z")), stated, small_photos, replace=True)
    assert (done.version, len(done.folders)) == (1, 3)
    assert config.read_text(encoding="utf-8") != "# spoilt"
    assert [path for path in contents(stated) if "/2" in path or path.startswith(".")] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"top": 2},
            r"pets_classify/config.pbtxt: the new version has other outputs \(classes .*\[2\].*\[3\].*--name, or with",
        ),
        ({"model": networks.linear(shape="N,3,6,6")}, r"pets_resize/config.pbtxt: .*other outputs.*6, 6, 3.*4, 4, 3"),
    ],
    ids=["fewer labels", "another crop"],
)
def test_a_version_with_another_interface_is_refused(
    change: dict[str, Any], words: str, stated: Path, tmp_path: Path, small_photos: Photos
) -> None:
    before = contents(stated)
    with pytest.raises(ConfigurationError, match=words):
        imported(wanted(tmp_path, **change), stated, small_photos)
    assert contents(stated) == before


def test_a_part_of_a_model_is_refused(stated: Path, tmp_path: Path, small_photos: Photos) -> None:
    (stated / "pets_resize").rename(tmp_path / "elsewhere")
    before = contents(stated)
    with pytest.raises(ConfigurationError, match="has pets_classify, pets, which is not the whole of a model 'pets'"):
        imported(wanted(tmp_path), stated, small_photos)
    assert contents(stated) == before


def test_a_model_without_its_configuration_is_refused(stated: Path, tmp_path: Path, small_photos: Photos) -> None:
    (stated / "pets_classify" / "config.pbtxt").unlink()
    with pytest.raises(ConfigurationError, match=r"pets_classify/config.pbtxt is missing; --replace writes"):
        imported(wanted(tmp_path), stated, small_photos)


def test_a_repository_that_is_a_file_is_refused(tmp_path: Path, small_photos: Photos) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="it is a file; name a folder of models"):
        imported(wanted(tmp_path), tmp_path / "file", small_photos)


# ---- what is found, and what must be said ---------------------------------------------------------------------------


def test_facts_name_what_was_found_and_read(tmp_path: Path) -> None:
    facts = importer.plan(wanted(tmp_path)).facts
    assert [(fact.origin, fact.about) for fact in facts] == [
        *(("found", about) for about in ("network", "input", "batch", "output", "scores")),
        ("read", "labels"),
    ]
    by_name = {fact.about: fact for fact in facts}
    assert by_name["network"].value == "model.onnx, 0.0 MB, opset 17"
    assert by_name["output"].value == "'scores' float32 [N,3]: 3 classes"
    assert (by_name["labels"].value, by_name["labels"].where) == ("3: ant, bee, cat", "pets.txt")


def test_the_size_of_a_network_is_that_with_the_weights_beside_it(tmp_path: Path) -> None:
    given = wanted(tmp_path)
    model = networks.linear(shape="N,3,128,128")
    onnx.save(model, given.model, save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert importer.plan(given).facts[0].value == "model.onnx, 0.6 MB, opset 17"


def test_what_nobody_said_is_missing_and_never_assumed(tmp_path: Path) -> None:
    planned = importer.plan(wanted(tmp_path, said={}))
    assert planned.resolved.rules is None
    assert {each.flag for each in planned.resolved.missing} == {
        *("--resize", "--interpolation", "--scale", "--mean", "--std")
    }


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (None, r"--labels must be said: .* names of the 3 classes"),
        (("a", "b"), r"puts out 3 classes, pets.txt names 2; is there a background class"),
        (("a", "b", "c", "d"), r"puts out 3 classes, pets.txt names 4; is 'a' a heading"),
    ],
)
def test_labels_that_are_missing_or_too_many_are_refused(
    labels: Sequence[str] | None, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        imported(wanted(tmp_path, labels=labels), tmp_path / "repository", [])
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("asked", ["softmax", "sigmoid"])
def test_a_second_softmax_is_refused(asked: str, tmp_path: Path) -> None:
    model = networks.linear(end="scores = Softmax<axis=1>(raw)")
    with pytest.raises(ConfigurationError, match="the network ends in a softmax already"):
        importer.plan(wanted(tmp_path, model, scores=asked))


def test_scores_that_are_no_probabilities_are_found_out_by_the_proof(
    tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    """`--scores as-is` of a network that gives logits."""
    done = imported(wanted(tmp_path, scores="as-is"), tmp_path / "repository", small_photos)
    assert done.proof.failure is not None
    assert done.proof.failure.step == "network"
    assert "say what makes some of them: --scores softmax or sigmoid" in done.proof.failure.said


def test_a_batch_fixed_to_one_is_freed_and_said_so(tmp_path: Path, small_photos: Photos, unserved: None) -> None:
    given = wanted(tmp_path, networks.linear(shape="1,3,4,4"))
    assert "always 1: it will be freed" in {fact.value for fact in importer.plan(given).facts}
    done = imported(given, tmp_path / "repository", small_photos)
    assert done.proof.failure is None
    assert "its batch was fixed to 1" in done.how_batched


def test_warnings_of_the_rules_and_the_labels_are_handed_on(
    tmp_path: Path, small_photos: Photos, unserved: None
) -> None:
    given = wanted(tmp_path, said=said(scale="1"), labels=("cat", "Cat", "cow"))
    warnings = imported(given, tmp_path / "repository", small_photos).warnings
    assert any("is the scale 1/255?" in warning for warning in warnings)
    assert any("1 name stands for more than one class: 'cat' for 0, 1" in warning for warning in warnings)


@pytest.mark.parametrize("name", ["", "a b", "../up", "-x", "x" * 101])
def test_a_name_that_is_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a name has letters, digits"):
        importer.plan(wanted(tmp_path, name=name))
