"""What a proof says and by which measure; that it finds every kind of damage is in `test_importer`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from tests.pipeline.graphs import networks
from tests.pipeline.importing import LABELS, edit, imported, said, wanted
from topfive_pipeline.entry.names import graph_path
from topfive_pipeline.importer import original, plan
from topfive_pipeline.proof import proving
from topfive_pipeline.proof.models import Original, Written
from topfive_pipeline.proof.photos import Photo, Unreadable
from topfive_pipeline.proof.proving import prove
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.verdict import Proof

Photos = list[Photo]
PARTS = ("pets_resize", "pets_classify")


@pytest.fixture
def proof(tmp_path: Path, small_photos: Photos) -> Proof:
    """That of an import; afterwards, its graphs are in the repository."""
    return imported(wanted(tmp_path), tmp_path / "repository", small_photos).proof


def written(repository: Path, labels: tuple[str, ...] = LABELS) -> Written:
    resize, classify = (Graph(graph_path(repository, name, 1)) for name in PARTS)
    return Written(repository, "pets", resize, classify, labels)


def again(folder: Path, photos: Photos, *, tolerance: float = 1e-4, **changed: Any) -> Proof:
    """A proof of what lies in the repository now."""
    given = written(folder / "repository", **changed)
    return prove(given, original(plan(wanted(folder))), photos, tolerance=tolerance, progress=lambda _: None)


def test_the_original_answers_by_itself(tmp_path: Path) -> None:
    """The network's own file and NumPy: no graph of ours takes part."""
    given: Original = original(plan(wanted(tmp_path)))
    (picture,) = networks.pictures(1)
    row = ((picture / 255 - 0.5) / 0.25).transpose(2, 0, 1).reshape(1, -1)
    assert given.probabilities(picture) == pytest.approx(networks.softmax(row @ networks.matrix(48, 3))[0], abs=1e-6)


def test_progress_tells_each_step(unserved: None, proof: Proof, tmp_path: Path, small_photos: Photos) -> None:
    told: list[str] = []
    prove(
        written(tmp_path / "repository"),
        original(plan(wanted(tmp_path))),
        small_photos,
        tolerance=1e-4,
        progress=told.append,
    )
    assert {"resizing cat.png", "resizing 1x1", "classifying coffee.png", "a batch against single images"} <= set(told)


def test_the_tolerance_is_the_users(unserved: None, tmp_path: Path, small_photos: Photos) -> None:
    """A network in FP16 differs by its roundings: within 2e-3 unless less was asked for."""
    given = wanted(tmp_path, networks.linear(dtype="float16"))
    done = imported(given, tmp_path / "repository", small_photos)
    assert (done.proof.failure, done.proof.figures["tolerance"]) == (None, 2e-3)
    strict = imported(given, tmp_path / "strict", small_photos, tolerance=0.0)
    assert strict.proof.figures["tolerance"] == 0
    assert strict.proof.failure is not None
    assert "more than 0 (--tolerance)" in strict.proof.failure.said
    assert not (tmp_path / "strict").exists()


@pytest.mark.parametrize(
    ("end", "tolerance"),
    [
        ("scores = Identity(raw)", 1e-4),
        ("q, step, zero = DynamicQuantizeLinear(raw) scores = DequantizeLinear(q, step, zero)", 1e-2),
        ("q = QuantizeLinear(raw, one) scores = DequantizeLinear(q, one)", 1e-2),
    ],
)
def test_a_network_in_8_bits_may_differ_by_one_of_its_steps(
    end: str, tolerance: float, unserved: None, tmp_path: Path, small_photos: Photos
) -> None:
    model = networks.linear(end=end)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(0.1, np.float32), "one"))
    done = imported(wanted(tmp_path, model), tmp_path / "out", small_photos, dry_run=True)
    assert done.proof.figures["tolerance"] == tolerance


def test_weights_that_changed_after_the_export_are_found_out(
    unserved: None, proof: Proof, tmp_path: Path, small_photos: Photos
) -> None:
    def change(model: Any) -> None:
        (weights,) = (each for each in model.graph.initializer if each.name == "network/weights")
        array = onnx.numpy_helper.to_array(weights).copy()
        array[7, 1] += 0.05
        weights.CopyFrom(onnx.numpy_helper.from_array(array, weights.name))

    edit(graph_path(tmp_path / "repository", "pets_classify", 1), change)
    failure = again(tmp_path, small_photos).failure
    assert failure is not None
    assert failure.step == "network"
    assert again(tmp_path, small_photos, tolerance=0.5).failure is None


def test_a_network_that_puts_out_no_numbers_is_found_out(unserved: None, tmp_path: Path, small_photos: Photos) -> None:
    model = networks.linear(end="zero = Sub(raw, raw) scores = Div(zero, zero)")
    failure = imported(wanted(tmp_path, model), tmp_path / "repository", small_photos).proof.failure
    assert failure is not None
    assert (failure.step, "not a finite number" in failure.said) == ("network", True)


def test_labels_that_are_too_few_are_found_out(
    unserved: None, proof: Proof, tmp_path: Path, small_photos: Photos
) -> None:
    failure = again(tmp_path, small_photos, labels=LABELS[:2]).failure
    assert failure is not None
    assert failure.said == "cat.png: the network puts out 3 classes, but there are 2 labels"


def test_a_photo_that_cannot_be_read_is_named(
    unserved: None, proof: Proof, tmp_path: Path, small_photos: Photos
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"none")
    with pytest.raises(Unreadable, match=r"broken\.jpg: it cannot be read as a picture"):  # proves nothing
        again(tmp_path, [*small_photos, Photo(tmp_path / "broken.jpg")])


def test_a_graph_that_fails_on_a_size_is_a_finding(
    unserved: None, proof: Proof, tmp_path: Path, small_photos: Photos
) -> None:
    one_size = networks.parsed(
        "net (uint8[N,H,W,3] image) => (uint8[N,4,4,3] pixels) "
        "{ shape = Constant<value = int64[4] {1, 4, 4, 3}>() pixels = Reshape(image, shape) }"
    )
    graph_path(tmp_path / "repository", "pets_resize", 1).write_bytes(one_size.SerializeToString())
    failure = again(tmp_path, small_photos).failure
    assert failure is not None
    assert failure.step == "resize"
    assert "onnxruntime cannot run this graph on uint8" in failure.said


def test_a_server_that_answers_otherwise_than_its_graphs_is_found_out(
    tmp_path: Path, small_photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Confused:
        def classify(self, image: Any, *, model: str) -> list[dict[str, Any]]:
            return [{"label": label, "index": 0, "probability": 0.1} for label in reversed(LABELS)]

    @contextmanager
    def serve(_: Path) -> Iterator[Confused]:
        yield Confused()

    monkeypatch.setattr(proving, "serve", serve)
    failure = imported(wanted(tmp_path), tmp_path / "repository", small_photos).proof.failure
    assert failure is not None
    assert failure.step == "server"
    assert failure.said.startswith("it answers [{'label': 'cat'")
    assert not (tmp_path / "repository").exists()


def test_a_letterbox_and_a_crop_are_proven_too(unserved: None, tmp_path: Path, small_photos: Photos) -> None:
    for place, flags in enumerate(({"resize": "letterbox:7"}, {"resize": "short-side:5", "crop_rounding": "floor"})):
        done = imported(wanted(tmp_path, said=said(**flags)), tmp_path / str(place), small_photos)
        assert done.proof.failure is None


def test_an_embedding_that_depends_on_the_batch_is_found_out(
    unserved: None, tmp_path: Path, small_photos: Photos, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Graph.named

    def mixing(graph: Graph, tensor: NDArray[Any]) -> Mapping[str, NDArray[Any]]:
        found = dict(honest(graph, tensor))
        found["embedding"] = np.full((len(tensor), 3), 100.0 * len(tensor), np.float32)
        return found

    monkeypatch.setattr(Graph, "named", mixing)
    done = imported(wanted(tmp_path, networks.linear()), tmp_path / "repository", small_photos)
    assert done.proof.failure is not None
    assert done.proof.failure.step == "batch"
    assert not (tmp_path / "repository").exists()
