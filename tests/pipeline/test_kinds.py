"""Networks of every kind that is imported, all in one repository, answered by one server as NumPy does.

What is right is computed here, from the weights: neither the tail of the graphs nor the proof's reference takes part.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.pipeline.conftest import no_servers
from tests.pipeline.graphs import networks
from tests.pipeline.graphs.networks import matrix, parsed, softmax
from tests.pipeline.importing import imported, said, wanted
from tests.testkit.serving_process import ServingProcess, serving
from topfive_pipeline.proof.photos import Photo

Array = NDArray[Any]

GREY: Final = {"colour": "grey"}
TWO: Final = networks.names(2)
THREE: Final = networks.names(3)
TEN: Final = networks.names(10)


def _planes(crop: Array) -> Array:
    return crop.transpose(2, 0, 1).reshape(1, -1)


def _rows(crop: Array) -> Array:
    return crop.reshape(1, -1)


def _sigmoid(scores: Array) -> Array:
    return 1 / (1 + np.exp(-scores))


def _dense(classes: int, *, shape: str = "N,3,4,4", end: str = "scores = Identity(raw)") -> Any:
    length = int(np.prod([int(part) for part in shape.split(",")[1:]]))
    return parsed(
        f"net (float[{shape}] image) => (float[N,{classes}] scores) "
        f"{{ flat = Flatten<axis=1>(image) raw = MatMul(flat, weights) {end} }}",
        weights=matrix(length, classes),
    )


def _bytes() -> Any:
    """Normalises by itself, as Keras' networks do that begin with a `Rescaling`."""
    return parsed(
        "net (uint8[N,4,4,3] image) => (float[N,3] scores) { levels = Cast<to=1>(image) "
        "most = Constant<value = float {255.0}>() parts = Div(levels, most) flat = Flatten<axis=1>(parts) "
        "scores = MatMul(flat, weights) }",
        weights=matrix(48, 3),
    )


def _with_embedding() -> Any:
    return parsed(
        "net (float[N,3,4,4] image) => (float[N,3] scores) "
        "{ flat = Flatten<axis=1>(image) features = MatMul(flat, first) scores = MatMul(features, second) }",
        first=matrix(48, 8),
        second=matrix(8, 3),
    )


@dataclass(frozen=True)
class Kind:
    """A network, what is said of it, its labels, and the probabilities of all classes for normalised pixels [h,w,c]."""

    model: Callable[[], Any]
    labels: Any
    right: Callable[[Array], Array]
    flags: dict[str, Any]
    fields: dict[str, Any]
    size: tuple[int, int] = (4, 4)


def _kind(model: Callable[[], Any], labels: Any, right: Callable[[Array], Array], **more: Any) -> Kind:
    return Kind(model, labels, right, more.pop("flags", {}), more.pop("fields", {}), **more)


def _linear(length: int = 48, order: Callable[[Array], Array] = _planes) -> Callable[[Array], Array]:
    return lambda crop: softmax(order(crop) @ matrix(length, 3))


KINDS: Final[dict[str, Kind]] = {
    "nchw": _kind(networks.linear, THREE, _linear()),
    "nhwc": _kind(lambda: networks.linear(shape="N,4,4,3"), THREE, _linear(order=_rows)),
    "flat": _kind(lambda: networks.linear(shape="N,48"), THREE, _linear(order=_rows), flags={"crop": "4"}),
    "bgr": _kind(networks.linear, THREE, lambda crop: _linear()(crop[..., ::-1]), flags={"colour": "bgr"}),
    "mean_of_bgr": _kind(
        networks.linear,
        THREE,
        lambda crop: softmax(_planes((crop * 0.25 + 0.5 - [0.1, 0.2, 0.3])[..., ::-1] / 0.5) @ matrix(48, 3)),
        flags={"colour": "bgr", "mean": "0.3,0.2,0.1", "std": "0.5"},
    ),
    "grey": _kind(lambda: networks.linear(shape="N,1,4,4"), THREE, _linear(16), flags=GREY),
    "wide": _kind(lambda: networks.linear(shape="N,3,3,8"), THREE, _linear(72), size=(3, 8)),
    "half": _kind(lambda: networks.linear(dtype="float16"), THREE, _linear()),
    "fixed_batch": _kind(lambda: networks.linear(shape="1,3,4,4"), THREE, _linear()),
    "old": _kind(lambda: networks.linear(opset=9, ir=4), THREE, _linear()),
    "softmax_inside": _kind(lambda: networks.linear(end="scores = Softmax<axis=1>(raw)"), THREE, _linear()),
    "log_softmax": _kind(lambda: networks.linear(end="scores = LogSoftmax<axis=1>(raw)"), THREE, _linear()),
    "bytes": _kind(
        _bytes,
        THREE,
        lambda crop: softmax((crop * 0.25 + 0.5).reshape(1, -1) @ matrix(48, 3)),
        flags={"scale": None, "mean": None, "std": None},
    ),
    "two": _kind(lambda: _dense(2), TWO, lambda crop: softmax(_planes(crop) @ matrix(48, 2))),
    "ten": _kind(lambda: _dense(10), TEN, lambda crop: softmax(_planes(crop) @ matrix(48, 10)), fields={"top": 10}),
    "five_of_ten": _kind(lambda: _dense(10), TEN, lambda crop: softmax(_planes(crop) @ matrix(48, 10))),
    "one_column": _kind(
        lambda: _dense(1),
        TWO,
        lambda crop: np.hstack([_sigmoid(-_planes(crop) @ matrix(48, 1)), _sigmoid(_planes(crop) @ matrix(48, 1))]),
    ),
    "multi_label": _kind(
        lambda: _dense(10), TEN, lambda crop: _sigmoid(_planes(crop) @ matrix(48, 10)), fields={"threshold": 0.5}
    ),
    "embedding": _kind(
        _with_embedding,
        THREE,
        lambda crop: softmax(_planes(crop) @ matrix(48, 8) @ matrix(8, 3)),
        fields={"embedding": "features"},
    ),
    "letterbox": _kind(networks.linear, THREE, _linear(), flags={"resize": "letterbox:114"}),
}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory, small_photos: list[Photo]) -> Path:
    """All kinds, each proven but for the server."""
    folder = tmp_path_factory.mktemp("kinds")
    with no_servers():
        for name, kind in KINDS.items():
            model = kind.model()
            given = wanted(folder, model, name=name, labels=kind.labels, said=said(**kind.flags), **kind.fields)
            done = imported(given, folder / "repository", small_photos)
            assert done.proof.failure is None, (name, done.proof.failure)
        given = wanted(folder, name="external", labels=THREE)
        onnx.save(networks.linear(), given.model, save_as_external_data=True, location="weights.bin", size_threshold=0)
        assert imported(given, folder / "repository", small_photos).proof.failure is None
    return folder / "repository"


@pytest.fixture(scope="module")
def service(repository: Path) -> Iterator[ServingProcess]:
    with serving("--model-repository", str(repository)) as service:
        yield service


def _asked(service: ServingProcess, name: str, picture: Array) -> list[dict[str, Any]]:
    height, width, _ = picture.shape
    answer = service.classify(picture.tobytes(), model=name, height=height, width=width)
    assert answer.status == 200, answer
    predictions: list[dict[str, Any]] = answer.json["predictions"]
    return predictions


def _right(kind: Kind, picture: Array) -> Array:
    """All probabilities for a picture that has the network's size already."""
    if kind.flags.get("colour") == "grey":
        picture = np.asarray(Image.fromarray(picture).convert("L"))[..., np.newaxis]
    probabilities: Array = kind.right((picture / 255 - 0.5) / 0.25)[0]
    return probabilities


@pytest.mark.parametrize("name", [*KINDS, "external"])
def test_a_network_of_any_kind_is_served_as_its_weights_say(name: str, service: ServingProcess) -> None:
    kind = KINDS.get(name, KINDS["nchw"])
    for picture in networks.pictures(3, *kind.size):
        expected = _right(kind, picture)
        answer = _asked(service, name, picture)
        order = np.argsort(-expected)[: len(answer)]
        assert [prediction["index"] for prediction in answer] == order.tolist()
        assert [prediction["label"] for prediction in answer] == [kind.labels[index] for index in order]
        close = 5e-3 if name == "half" else 1e-4
        assert [prediction["probability"] for prediction in answer] == pytest.approx(expected[order], abs=close)
        threshold = kind.fields.get("threshold")
        places = kind.fields.get("top", 5) if threshold is None else int((expected > threshold).sum())
        assert len(answer) == min(len(kind.labels), places)


def test_places_below_a_threshold_are_left_out_of_the_answer(service: ServingProcess) -> None:
    """None above it: an answer without labels, not an error."""
    counts = {len(_asked(service, "multi_label", picture)) for picture in networks.pictures(30)}
    assert len(counts) > 2
    assert max(counts) < 10


def test_an_embedding_is_in_answers_of_the_open_inference_protocol(service: ServingProcess) -> None:
    picture = networks.pictures(1)
    tensor = {
        "name": "image",
        "shape": list(picture.shape),
        "datatype": "UINT8",
        "data": picture.reshape(-1).tolist(),
    }
    answer = service.ask(
        "POST",
        "/v2/models/embedding/infer",
        json.dumps({"inputs": [tensor]}).encode(),
        {"Content-Type": "application/json"},
    )
    assert answer.status == 200, answer
    outputs = {output["name"]: output for output in answer.json["outputs"]}
    assert outputs["embedding"]["shape"] == [1, 8]
    expected = _planes((picture[0] / 255 - 0.5) / 0.25) @ matrix(48, 8)
    assert outputs["embedding"]["data"] == pytest.approx(expected[0], abs=1e-4)


def test_pictures_of_any_size_are_answered_by_every_model(service: ServingProcess) -> None:
    for name in [*KINDS, "external"]:
        for height, width in ((1, 1), (7, 90), (90, 7)):
            assert len(_asked(service, name, networks.pictures(1, height, width)[0])) >= (name != "multi_label")
