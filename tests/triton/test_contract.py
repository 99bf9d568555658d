"""One repository, one answer: from the service, from Triton, and from the service in front of Triton.

What only the service promises, as the words of its errors, is in `tests/end_to_end/test_clients.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, Final

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from tests.conftest import Encode, Photo
from tests.testkit.clients import WAYS, Answer, Array, Client, Way, connected
from tests.testkit.serving_process import ServingProcess
from tests.triton.conftest import Target
from topfive.models.wiring import OUTPUTS

ENSEMBLE: Final = "efficientnet_lite0"
CLASSIFIER: Final = "efficientnet_lite0_classify"
PIXELS: Final = "pixels"
CROP: Final = (224, 224, 3)
CAT: Final = {"tabby", "tiger cat", "Egyptian cat"}
TOLERANCE: Final = 1e-4

# What a client sees of an error: HTTP's status, gRPC's status.
MALFORMED: Final = ("400", "INVALID_ARGUMENT")
UNKNOWN: Final = ("404", "NOT_FOUND")

OVER_HTTP: Final = Way(tritonclient.http)
OVER_GRPC: Final = Way(tritonclient.grpc)
FORMS: Final = (OVER_HTTP, Way(tritonclient.http, binary=False), OVER_GRPC)
"""The forms that a request can have; which client wrote it, a server cannot see."""


@pytest.fixture(scope="module", params=FORMS, ids=str)
def client(request: pytest.FixtureRequest, target: Target) -> Iterator[Client]:
    with connected(request.param, target) as connection:
        yield connection


@pytest.fixture(scope="module")
def reference(floating: ServingProcess) -> Iterator[Client]:
    """The service by itself, asked for one image at a time: what all others are held to."""
    with connected(OVER_HTTP, floating) as connection:
        yield connection


@pytest.fixture(scope="session")
def photos(cat: Photo, coffee: Photo, palace: Photo) -> list[Photo]:
    """Of sizes from a single pixel to 640 x 427, upright and lying, also such that are not halved evenly."""
    odd = [cat[:299, :201], coffee[::2, ::3], palace[100:200, 5:630], coffee[:224, :224], cat[:1, :1], palace[:3, :500]]
    return [np.ascontiguousarray(photo) for photo in (cat, coffee, palace, *odd)]


@pytest.fixture(scope="session")
def crops(cat: Photo, coffee: Photo, palace: Photo) -> Array:
    """Sixteen different ones [16, 224, 224, 3]."""
    height, width, _ = CROP
    corners = [(photo, 5 * step, 40 * step) for step in range(6) for photo in (cat, coffee, palace)]
    return np.stack([photo[top : top + height, left : left + width] for photo, top, left in corners[:16]])


@pytest.fixture(scope="module")
def expected(reference: Client, photos: list[Photo]) -> list[Mapping[str, Array]]:
    """What is right of each of `photos`: asked for once, whoever is held to it."""
    return [reference.infer(ENSEMBLE, photo[np.newaxis]).outputs for photo in photos]


@pytest.fixture(scope="module")
def alone(reference: Client, crops: Array) -> Callable[[str, str], Mapping[str, Array]]:
    """What is right of all `crops`, each by itself: asked for once of each model."""

    @cache
    def answers(model: str, name: str) -> Mapping[str, Array]:
        return side_by_side([reference.infer(model, crops[which : which + 1], name=name) for which in range(16)])

    return answers


def one(photo: Photo) -> Array:
    """A request's tensor of one photo; small, because in JSON each pixel is a word."""
    return photo[np.newaxis, ::3, ::3]


def assert_same(answered: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """The same labels in the same order, and nearly the same probabilities."""
    assert {name: values.shape for name, values in answered.items()} == {
        name: values.shape for name, values in expected.items()
    }
    assert answered["classes"].tolist() == expected["classes"].tolist()
    assert answered["indices"].tolist() == expected["indices"].tolist()
    assert np.abs(answered["probabilities"] - expected["probabilities"]).max() <= TOLERANCE


def side_by_side(answers: list[Answer]) -> dict[str, Array]:
    """The outputs of several requests as of one."""
    return {name: np.concatenate([answer.outputs[name] for answer in answers]) for name in OUTPUTS}


def test_it_is_live_and_ready(client: Client) -> None:
    assert client.ask("is_server_live") is True
    assert client.ask("is_server_ready") is True


@pytest.mark.parametrize(
    ("model", "version", "ready"),
    [(ENSEMBLE, "", True), (ENSEMBLE, "1", True), (CLASSIFIER, "", True), (ENSEMBLE, "2", False), ("nope", "", False)],
)
def test_a_model_is_ready_if_it_is_served(client: Client, model: str, version: str, ready: bool) -> None:
    assert client.ask("is_model_ready", model, version) is ready


def test_the_server_offers_what_clients_need(client: Client) -> None:
    """perf_analyzer, for one: binary tensors, configurations, statistics, priorities."""
    described = client.ask("get_server_metadata")
    assert {"binary_tensor_data", "model_configuration", "schedule_policy", "statistics"} <= set(
        described["extensions"]
    )


@pytest.mark.parametrize("version", ["", "1"])
@pytest.mark.parametrize(
    ("model", "platform", "name", "shape"),
    [(ENSEMBLE, "ensemble", "image", [-1, -1, -1, 3]), (CLASSIFIER, "onnxruntime_onnx", PIXELS, [-1, *CROP])],
)
def test_a_model_says_what_it_takes_and_gives(
    client: Client, model: str, version: str, platform: str, name: str, shape: list[int]
) -> None:
    assert client.ask("get_model_metadata", model, version) == {
        "name": model,
        "versions": [1],
        "platform": platform,
        "inputs": [{"name": name, "datatype": "UINT8", "shape": shape}],
        "outputs": [{"name": name, "datatype": datatype, "shape": [-1, 5]} for name, datatype in OUTPUTS.items()],
    }


def test_a_model_shows_its_configuration(client: Client) -> None:
    """All that the repository says; Triton adds what it has decided itself."""
    ensemble, classifier = client.config(ENSEMBLE), client.config(CLASSIFIER)
    assert (ensemble["name"], ensemble["platform"], ensemble["max_batch_size"]) == (ENSEMBLE, "ensemble", 16)
    assert ensemble["input"][0]["dims"] == [-1, -1, 3]
    assert [output["data_type"] for output in ensemble["output"]] == ["TYPE_STRING", "TYPE_FP32", "TYPE_INT64"]
    assert [step["model_name"] for step in ensemble["ensemble_scheduling"]["step"]][1] == CLASSIFIER
    assert (classifier["backend"], classifier["max_batch_size"]) == ("onnxruntime", 16)
    queue = classifier["dynamic_batching"]
    assert (queue["max_queue_delay_microseconds"], queue["priority_levels"]) == (0, 2)
    assert queue["default_queue_policy"]["max_queue_size"] == 256


def test_the_index_lists_every_model(client: Client) -> None:
    entries = {entry["name"]: entry for entry in client.index()}
    assert set(entries) == {ENSEMBLE, CLASSIFIER, "efficientnet_lite0_resize"}
    assert all((entry["version"], entry["state"]) == (1, "READY") for entry in entries.values())


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_photo_is_recognised_whichever_client_asks(target: Target, way: Way, reference: Client, cat: Photo) -> None:
    with connected(way, target) as client:
        answer = client.infer(ENSEMBLE, one(cat))
    assert (answer.model, answer.version) == (ENSEMBLE, "1")
    assert answer.labels[0] in CAT
    assert {name: (values.shape, values.dtype.name) for name, values in answer.outputs.items()} == {
        "classes": ((1, 5), "object"),
        "probabilities": ((1, 5), "float32"),
        "indices": ((1, 5), "int64"),
    }
    assert_same(answer.outputs, reference.infer(ENSEMBLE, one(cat)).outputs)


@pytest.mark.parametrize("way", [OVER_HTTP, OVER_GRPC], ids=str)
def test_photos_of_all_sizes_are_answered_alike(
    target: Target, way: Way, photos: list[Photo], expected: list[Mapping[str, Array]]
) -> None:
    with connected(way, target) as client:
        for photo, outputs in zip(photos, expected, strict=True):
            assert_same(client.infer(ENSEMBLE, photo[np.newaxis]).outputs, outputs)


@pytest.mark.parametrize(
    ("model", "name", "sizes"), [(CLASSIFIER, PIXELS, (1, 2, 3, 5, 8, 13, 16)), (ENSEMBLE, "image", (1, 2, 7, 16))]
)
def test_batches_are_answered_like_each_image_alone(
    target: Target,
    alone: Callable[[str, str], Mapping[str, Array]],
    crops: Array,
    model: str,
    name: str,
    sizes: Sequence[int],
) -> None:
    """In their order; from one image to as many as a request may have, through the ensemble and past its first step."""
    expected = alone(model, name)
    with connected(OVER_GRPC, target) as client:
        for size in sizes:
            some = slice((16 - size) // 2, (16 - size) // 2 + size)
            answered = client.infer(model, crops[some], name=name).outputs
            assert_same(answered, {output: values[some] for output, values in expected.items()})


def test_requests_of_mixed_sizes_at_once_each_get_their_own_answer(
    target: Target, photos: list[Photo], expected: list[Mapping[str, Array]]
) -> None:
    def ask(turn: int) -> Answer:
        with connected((OVER_HTTP, OVER_GRPC)[turn % 2], target) as client:
            photo = photos[turn % len(photos)]
            return client.infer(ENSEMBLE, photo[np.newaxis], request_id=f"turn {turn}")

    with ThreadPoolExecutor(8) as threads:
        for turn, answer in enumerate(threads.map(ask, range(2 * len(photos)))):
            assert answer.id == f"turn {turn}"
            assert_same(answer.outputs, expected[turn % len(photos)])


@pytest.mark.parametrize("request_id", ["a1-b2", "42", "ä€😀", 'a "quoted" one'])
def test_an_id_comes_back_unchanged(client: Client, cat: Photo, request_id: str) -> None:
    assert client.infer(ENSEMBLE, one(cat), request_id=request_id).id == request_id


def test_without_an_id_there_is_none(client: Client, cat: Photo) -> None:
    assert client.infer(ENSEMBLE, one(cat)).id is None


@pytest.mark.parametrize("asked", [["classes"], ["indices", "classes"], ["probabilities"]])
def test_only_the_outputs_asked_for_are_answered(client: Client, cat: Photo, asked: list[str]) -> None:
    everything = client.infer(ENSEMBLE, one(cat)).outputs
    some = client.infer(ENSEMBLE, one(cat), outputs=asked).outputs
    assert set(some) == set(asked)
    assert all(np.array_equal(some[name], everything[name]) for name in some)


def test_a_version_can_be_chosen(client: Client, cat: Photo) -> None:
    assert client.infer(ENSEMBLE, one(cat), model_version="1").version == "1"


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_a_request_may_say_how_urgent_it_is_and_how_long_it_waits(client: Client, cat: Photo, priority: int) -> None:
    assert client.infer(ENSEMBLE, one(cat), priority=priority, timeout=60_000_000).labels[0] in CAT


def test_a_parameter_of_ones_own_does_no_harm(client: Client, cat: Photo) -> None:
    own = {"camera": "north", "frame": 7, "night": False}
    assert client.infer(ENSEMBLE, one(cat), parameters=own).labels[0] in CAT


BLACK: Final = np.zeros((1, 4, 4, 3), np.uint8)

REFUSED: Final[dict[str, tuple[Array, dict[str, Any], tuple[str, str]]]] = {
    "unknown model": (BLACK, {"model": "nope"}, UNKNOWN),
    "unknown version": (BLACK, {"model_version": "2"}, UNKNOWN),
    "another datatype": (BLACK.astype(np.float32), {}, MALFORMED),
    "as many bytes of another datatype": (BLACK.astype(np.int8), {}, MALFORMED),
    "rank": (BLACK[0], {}, MALFORMED),
    "channels": (BLACK[..., :2].copy(), {}, MALFORMED),
    "crop's size": (BLACK, {"model": CLASSIFIER, "name": PIXELS}, MALFORMED),
    "no image": (BLACK[:0].copy(), {}, MALFORMED),
    "input's name": (BLACK, {"name": "picture"}, MALFORMED),
    "output's name": (BLACK, {"outputs": ["classes", "colours"]}, MALFORMED),
    "too many images": (np.zeros((17, 4, 4, 3), np.uint8), {}, MALFORMED),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_meant_is_refused(client: Client, what: str) -> None:
    """With the same status everywhere and a message; the next request is answered."""
    images, named, expected = REFUSED[what]
    status, message = client.refusal("infer", images=images, **{"model": ENSEMBLE, **named})
    assert status == expected[0 if client.way.over_http else 1], message
    assert message
    assert client.infer(ENSEMBLE, BLACK).outputs["classes"].shape == (1, 5)


@pytest.mark.parametrize(
    ("asked", "arguments"),
    [("get_model_metadata", ("nope",)), ("get_model_metadata", (ENSEMBLE, "2")), ("get_model_config", ("nope",))],
)
def test_a_description_of_what_is_not_served_is_not_found(
    client: Client, asked: str, arguments: tuple[str, ...]
) -> None:
    status, _ = client.refusal(asked, *arguments)
    assert status == UNKNOWN[0 if client.way.over_http else 1]


def test_statistics_count_images_requests_and_executions(client: Client, floating: ServingProcess, cat: Photo) -> None:
    """Triton counts a request some time after it has answered it."""

    def counts() -> tuple[int, int, int]:
        (found,) = client.ask("get_inference_statistics", ENSEMBLE, "1")["model_stats"]
        return found["inference_count"], found["inference_stats"]["success"]["count"], found["execution_count"]

    images, requests, executions = counts()
    client.infer(ENSEMBLE, np.repeat(one(cat), 3, axis=0))
    floating.wait_until(lambda: counts() >= (images + 3, requests + 1, executions + 1))


@pytest.mark.parametrize("form", ["raw", "jpeg"])
def test_the_services_own_route_answers_alike_on_triton(
    floating: ServingProcess, front_end: ServingProcess, photos: list[Photo], encode: Encode, form: str
) -> None:
    for photo in photos:
        height, width, _ = photo.shape
        if form == "raw":
            answers = [one.classify(photo.tobytes(), height=height, width=width) for one in (floating, front_end)]
        else:
            file = encode(photo, "jpeg", quality=90)
            answers = [one.classify(file, "image/jpeg") for one in (floating, front_end)]
        embedded, on_triton = (answer.json["predictions"] for answer in answers)
        assert [(one["label"], one["index"]) for one in on_triton] == [(one["label"], one["index"]) for one in embedded]
        for ours, its in zip(embedded, on_triton, strict=True):
            assert abs(ours["probability"] - its["probability"]) <= TOLERANCE
