"""What a user can get wrong ends in one line and exit code 2: no traceback, and nothing is written."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pytest

from tests.pipeline.commands.conftest import Run
from tests.pipeline.graphs import networks
from tests.pipeline.importing import SAID, contents
from topfive_pipeline import patience
from topfive_pipeline.commands.importing import main
from topfive_pipeline.proof.photos import Photo

FLAGS: Final = [word for flag, value in SAID.items() for word in (f"--{flag}", value)]


@pytest.fixture
def start(tmp_path: Path, small_photos: list[Photo], monkeypatch: pytest.MonkeyPatch, unserved: None) -> list[str]:
    """The arguments of an import in a folder of its own; later ones override them."""
    monkeypatch.chdir(tmp_path)
    networks.saved(networks.linear(), tmp_path)
    (tmp_path / "pets.txt").write_text("ant\nbee\ncat\n", encoding="utf-8")
    photos = small_photos[0].path.parent
    return ["model.onnx", "--name", "pets", "--labels", "pets.txt", "--photos", str(photos), *FLAGS]


def refused(run: Run, *words: str) -> str:
    """The one line that an import is refused with."""
    before = contents(Path.cwd())
    ran = run(main, *words)
    assert ran.code == 2
    assert ran.err.count("\n") == 1, ran.err
    assert "fault of topfive" not in ran.err
    assert contents(Path.cwd()) == before
    return ran.err


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("version", "9" * 5000, "a version is next, or a number from 1 on"),
        ("tolerance", "0", "more than 0 and less than 1"),
        ("tolerance", "nan", "more than 0 and less than 1"),
        ("tolerance", "5", "more than 0 and less than 1"),
        ("mean", "1e300", "has a number that nobody means"),
        ("std", "1e-320", "divides by a number that is not above 0"),
        ("scale", "1e300", "is a number that nobody means"),
        ("resize", "squash:0", "--resize squash:0: it has a side"),
        ("name", "pets_resize", "are for the steps of other models"),
        ("name", "pets_classify", "are for the steps of other models"),
        ("name", "pets.", "Windows takes no folder of this name"),
        ("name", "CON", "Windows takes no folder of this name"),
        ("labels", "a\0b", "cannot be read (embedded null byte)"),
        ("source", "a\udcff", "is no text that can be written"),
        ("from", "x" * 5000, "File name too long"),
    ],
)
def test_values_that_nobody_means(run: Run, start: list[str], flag: str, value: str, said: str) -> None:
    assert said in refused(run, *start, f"--{flag}", value)


@pytest.mark.parametrize("name", ["7", "2024-flowers", "v1.5"])
def test_a_name_may_begin_with_a_digit_and_have_a_point(run: Run, start: list[str], name: str) -> None:
    assert run(main, *start, "--name", name).code == 0


def of_an_unknown_type(model: Any) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 77


def twice_the_weights(model: Any) -> None:
    model.graph.initializer.append(model.graph.initializer[0])


def unsorted(model: Any) -> None:
    model.graph.node.insert(0, model.graph.node.pop(2))


def with_a_function_that_calls_itself(model: Any) -> None:
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("own", 1)]
    node = onnx.helper.make_node("F", ["x"], ["y"], domain="own")
    model.functions.append(onnx.helper.make_function("own", "F", ["x"], ["y"], [node], opsets))
    model.opset_import.append(opsets[1])
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "F", "own"


def far_away(model: Any) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "pets.txt"), ("offset", "-5")):
        tensor.external_data.add(key=key, value=value)


def huge(model: Any) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 10**12


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (of_an_unknown_type, "its input 'image' of an unknown type [N,3,4,4] cannot be an image"),
        (twice_the_weights, "the network is no valid ONNX graph, though onnxruntime runs it"),
        (unsorted, "the network is no valid ONNX graph, though onnxruntime runs it"),
        (with_a_function_that_calls_itself, "its own functions cannot be put into its graph: "),
        (far_away, "'-5' is no place in a file"),
        (huge, "there is not enough memory"),
    ],
)
def test_broken_networks(run: Run, start: list[str], spoil: Callable[[Any], None], said: str) -> None:
    model = networks.linear()
    spoil(model)
    Path("model.onnx").write_bytes(model.SerializeToString())
    assert said in refused(run, *start)


def test_weights_may_be_links_as_in_the_cache_of_hugging_face(run: Run, start: list[str]) -> None:
    onnx.save(networks.linear(), "model.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    Path("blobs").mkdir()
    for name in ("model.onnx", "weights"):
        Path(name).rename(Path("blobs", name))
        Path(name).symlink_to(Path("blobs", name).absolute())
    assert run(main, *start).code == 0


def test_what_is_no_number_fails_the_proof(run: Run, start: list[str]) -> None:
    networks.saved(networks.linear(end="z = Sub(raw, raw) scores = Div(z, z)"), Path())
    ran = run(main, *start)
    assert (ran.code, ran.err) == (1, "")
    assert "is not a finite number" in ran.words


def test_a_loop_without_end_is_ended(run: Run, start: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "SECONDS", 0.2)
    model = networks.parsed(
        "net (float[N,3,4,4] image) => (float[N,3] scores) { flat = Flatten<axis=1>(image) raw = MatMul(flat, w) "
        "scores = Loop (n, c, raw) <body = b (int64 i, bool ci, float[N,3] x) => (bool co, float[N,3] y) "
        "{ co = Identity(ci) y = Identity(x) }> }",
        n=np.array(2**62, np.int64),
        c=np.array(True),
        w=networks.matrix(48, 3),
    )
    networks.saved(model, Path())
    assert "does it have a loop without end?" in refused(run, *start)


def test_a_pipe_is_not_waited_for(run: Run, start: list[str]) -> None:
    os.mkfifo("pipe")
    ran = run(main, "pipe", *start[1:])
    assert (ran.code, "it is a device or a pipe" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("l.json", '["\\ud800", "b", "c"]', "has a control character"),
        ("l.txt", "a\u2028x\nb\nc", "has a control character"),
        ("l.json", '{"a": ' + "9" * 5000 + "}", "a number that nobody can mean"),
        ("l.json", '{"label_names": [["a"]], "label_descriptions": {"a": "x"}}', "class 0"),
        ("l.csv", ",\n,\n", "it names no class"),
    ],
)
def test_labels_that_cannot_be(run: Run, start: list[str], file: str, content: str, said: str) -> None:
    Path(file).write_text(content, encoding="utf-8")
    if "label_descriptions" in content:  # a list stands for its last part, as in Keras' class index
        assert "names 1; is it" in refused(run, *start, "--labels", file)
    else:
        assert said in refused(run, *start, "--labels", file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"file,label\na.png,\xe9", "it is not UTF-8 text"),
        ("file,index\na.png,1".encode("utf-16"), "it is UTF-16 text"),
        (b"file,index\na.png," + b"9" * 5000, "neither an index nor the label"),
        (b"file,index\n" + b"a" * 200000 + b",1", "cannot be read as CSV (field larger than"),
        (b"file,index\nnope.png,1", "line 2: there is no file 'nope.png'"),
        (b"file,index\n,1", "line 2: it names no file"),
        (b"file,index\na\x0b.png,1", "there is no file"),
        (b"file;index\na.png;1", "with commas between them"),
        (b"file,index\na.png,1", "a.png: it cannot be read as a picture"),
    ],
)
def test_lists_of_photos_that_cannot_be(run: Run, start: list[str], content: bytes, said: str) -> None:
    Path("photos").mkdir()
    Path("photos", "labels.csv").write_bytes(content)
    Path("photos", "a.png").write_bytes(b"")
    assert said in refused(run, *start, "--photos", "photos")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("image_mean", [10**400] * 3, "image_mean is"),
        ("size", [[1]], "size is [[1]]"),
        ("crop_size", [{}, {}], "crop_size is [{}, {}]"),
        ("resample", [1], "resample is [1]"),
        ("resample", {"a": 1}, 'resample is {"a": 1}'),
    ],
)
def test_files_of_preprocessings_that_cannot_be(
    run: Run, start: list[str], field: str, value: object, said: str
) -> None:
    given = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": 4, "width": 4},
        "crop_size": {"height": 4, "width": 4},
        "do_center_crop": True,
        "resample": 2,
    }
    Path("p.json").write_text(json.dumps(given | {field: value}), encoding="utf-8")
    words = start[: -len(FLAGS)]
    assert said in refused(run, *words, "--from", "p.json")


def test_replace_does_not_remove_a_step_of_another_model(run: Run, start: list[str]) -> None:
    assert run(main, *start).code == 0
    other = Path("my_models", "pets_classify")
    Path("my_models", "user").mkdir()
    Path("my_models", "user", "config.pbtxt").write_text('step [ { model_name: "pets_classify" } ]', encoding="utf-8")
    assert f"--replace would remove {other}, a step of user" in refused(run, *start, "--replace")
