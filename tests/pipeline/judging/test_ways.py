"""What stands after the @ chooses the engine and the precision; what does not exist here is refused with its reason."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.importing import edit
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.judging.answering import answers_of
from topfive_pipeline.judging.footprint import footprint_of
from topfive_pipeline.judging.speed import paces_of
from topfive_pipeline.judging.subjects import Missing, find, find_in_ways
from topfive_pipeline.judging.ways import ENGINES, Way, changed_by, numbers_of, read_way, ways_of
from topfive_pipeline.proof import engines
from topfive_pipeline.proof.photos import read_photos


@pytest.mark.parametrize(
    ("said", "way"),
    [
        ("openvino", Way("openvino", None)),
        ("bf16", Way(None, "bf16")),
        ("openvino-bf16", Way("openvino", "bf16")),
        ("int8+onnxruntime", Way("onnxruntime", "int8")),
    ],
)
def test_an_engine_and_numbers_in_any_order(said: str, way: Way) -> None:
    assert read_way(said, of="pets") == way


@pytest.mark.parametrize("said", ["", "triton", "openvino-", "fp32-bf16", "openvino-onnxruntime", "bf16-bf16"])
def test_other_words_are_refused(said: str, judged_folder: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=rf"'pets@{said}': after the @ there may be an engine \(onnxruntime, o"
    ):
        find([f"pets@{said}"], judged_folder / "repository")


def test_what_is_not_said_stays_as_it_is_configured(judged_folder: Path) -> None:
    config = find(["pets"], judged_folder / "repository")[0].classify.config
    served = replace(config, engine="openvino", precision="bf16")
    assert changed_by(served, Way()) == served
    assert changed_by(served, Way("openvino")).precision == "bf16"
    assert changed_by(served, Way("onnxruntime")).precision == "fp32"
    assert changed_by(served, Way(numbers="int8")).precision == "fp32"
    assert changed_by(config, Way("openvino", "bf16")).precision == "bf16"


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("pets:1@onnxruntime-bf16", "pets:1 cannot run as onnxruntime-bf16: ONNX Runtime has no bf16"),
        ("pets:1@int8", "pets:1 cannot run as int8: its graph is not quantised; `topfive optimise`"),
        ("pets:2@fp32", "pets:2 cannot run as fp32: its graph is quantised"),
    ],
)
def test_what_does_not_exist_is_refused(asked: str, words: str, judged_folder: Path, tmp_path: Path) -> None:
    repository = Path(shutil.copytree(judged_folder / "repository", tmp_path / "repository"))
    edit(graph_path(repository, "pets_classify", 2), quantise)
    assert (
        numbers_of(graph_path(repository, "pets_classify", 2), find(["pets"], repository)[0].classify.config) == "int8"
    )
    with pytest.raises(ConfigurationError, match=words):
        find([asked], repository)


def quantise(model: Any) -> None:
    """A node that quantises and leads nowhere: the file says that it computes in integers."""
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(1), "a_scale"))
    model.graph.node.append(onnx.helper.make_node("QuantizeLinear", ["a_scale", "a_scale"], ["a_byte"]))


def test_what_the_processor_lacks_is_refused(judged_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "multiplies_bfloat16", lambda: False)
    with pytest.raises(ConfigurationError, match="pets:1 cannot run as openvino-bf16: this processor has neither"):
        find(["pets:1@openvino-bf16"], judged_folder / "repository")


def test_an_engine_that_is_not_installed_is_refused(judged_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("topfive.backends.openvino_runtime.is_installed", lambda: False)
    with pytest.raises(ConfigurationError, match=r"pets:1 cannot run as openvino: .*pip install 'topfive\[openvino\]'"):
        find(["pets:1@openvino"], judged_folder / "repository")


def test_both_engines_answer_the_same_and_are_timed(judged_folder: Path) -> None:
    """Its two streams run side by side in one session, so memory and speed are of both."""
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    subjects = find(["pets:1", "pets:1@openvino", "pets:3@openvino-fp32"], judged_folder / "repository")
    first, same, worse = answers_of(subjects, read_photos(judged_folder / "photos")[:20], lambda *_: None)
    assert (first.first == same.first).all()
    assert same.changes.max() < 1e-5 < worse.changes.max()
    found = footprint_of(subjects[1], cores=2, loads=1)
    assert found.load_seconds > 0
    assert found.memory_bytes > 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("topfive_pipeline.judging.speed.SLICE_SECONDS", 0.001)
        images = [np.zeros((9, 8, 3), np.uint8)]
        paces = paces_of(subjects[:2], images, batches=(3,), cores=2, rounds=1, progress=lambda _: None)
    assert [pace.case for pace in paces[1]] == ["alone", "batch 3"]


def test_every_engine_with_every_precision() -> None:
    assert ways_of(["openvino", "onnxruntime"], ["int8", "fp32"]) == [
        Way("onnxruntime", "fp32"),
        Way("onnxruntime", "int8"),
        Way("openvino", "fp32"),
        Way("openvino", "int8"),
    ]
    assert ways_of(["openvino"], []) == [Way("openvino")]
    assert ways_of([], ["bf16"]) == [Way(None, "bf16")]


@pytest.mark.parametrize(
    ("engines", "numbers", "words"),
    [
        (["ort"], [], "--engines: 'ort' is none; it must be of onnxruntime, openvino"),
        ([], ["fp16"], "--precisions: 'fp"),
    ],
)
def test_what_is_no_engine_or_precision_is_refused(engines: list[str], numbers: list[str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ways_of(engines, numbers)


def test_models_run_in_all_ways_in_which_they_can(judged_folder: Path, tmp_path: Path) -> None:
    """And what none can run in is told with its reason."""
    pytest.importorskip("openvino", reason="the extra `openvino` is not installed")
    repository = Path(shutil.copytree(judged_folder / "repository", tmp_path / "repository"))
    edit(graph_path(repository, "pets_classify", 2), quantise)
    ways = ways_of(ENGINES, ["fp32", "int8"])
    subjects, missing = find_in_ways(["pets:1", "pets:2"], repository, ways)
    assert [(subject.title, subject.engine, subject.numbers) for subject in subjects] == [
        ("pets:1@onnxruntime-fp32", "onnxruntime", "fp32"),
        ("pets:2@onnxruntime-int8", "onnxruntime", "int8"),
        ("pets:1@openvino-fp32", "openvino", "fp32"),
        ("pets:2@openvino-int8", "openvino", "int8"),
    ]
    assert missing == ()
    subjects, missing = find_in_ways(["pets:1"], repository, [*ways[:2], Way("onnxruntime", "bf16")])
    assert [subject.title for subject in subjects] == ["pets:1@onnxruntime-fp32"]
    assert missing == (
        Missing("onnxruntime int8", "its graph is not quantised; `topfive optimise` makes a version that is"),
        Missing("onnxruntime bf16", "ONNX Runtime has no bf16 for whole networks on CPUs"),
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [("pets:1", "pets:1 can run in no way that is asked for: ONNX"), ("pets:1@fp32", "leave out --engines and --prec")],
)
def test_no_way_and_two_ways_at_once_are_refused(asked: str, words: str, judged_folder: Path) -> None:
    with pytest.raises(ConfigurationError, match=words):
        find_in_ways([asked], judged_folder / "repository", [Way("onnxruntime", "bf16")])
