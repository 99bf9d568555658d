"""Every stock client of the protocol is answered alike, whichever way it asks, by one real service."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pytest

from tests.conftest import Encode, Photo
from tests.testkit.clients import WAYS, Answer, Array, Client, connected
from tests.testkit.serving_process import ServingProcess
from topfive import __version__
from topfive.models.wiring import OUTPUTS

pytestmark = pytest.mark.untraced

MODEL: Final = "efficientnet_lite0"
CLASSIFIER: Final = "efficientnet_lite0_classify"
CAT: Final = {"tabby", "tiger cat", "Egyptian cat"}

# What a client sees of an error: HTTP's status, gRPC's status.
MALFORMED: Final = ("400", "INVALID_ARGUMENT")
UNSUPPORTED: Final = ("400", "UNIMPLEMENTED")
UNKNOWN: Final = ("404", "NOT_FOUND")
EXPIRED: Final = ("504", "DEADLINE_EXCEEDED")


@pytest.fixture(scope="module", params=WAYS, ids=str)
def client(request: pytest.FixtureRequest, service: ServingProcess) -> Iterator[Client]:
    with connected(request.param, service) as connection:
        yield connection


TINY: Final = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(1, 4, 4, 3)
"""For what is the same whatever is to be seen."""


def one(photo: Photo) -> Array:
    """A request's tensor of one photo; small, because in JSON each pixel is a word."""
    return photo[np.newaxis, ::3, ::3]


def assert_refused(client: Client, expected: tuple[str, str], words: list[str], *arguments: Any, **named: Any) -> None:
    status, message = client.refusal(*arguments, **named)
    assert status == (expected[0] if client.way.over_http else expected[1]), message
    assert [word for word in words if word not in message] == []


def test_it_is_live_and_ready(client: Client) -> None:
    assert client.ask("is_server_live") is True
    assert client.ask("is_server_ready") is True


@pytest.mark.parametrize(
    ("model", "version", "ready"),
    [(MODEL, "", True), (MODEL, "1", True), (CLASSIFIER, "", True), (MODEL, "2", False), ("nope", "", False)],
)
def test_a_model_is_ready_if_it_is_served(client: Client, model: str, version: str, ready: bool) -> None:
    assert client.ask("is_model_ready", model, version) is ready


def test_the_server_says_what_it_offers(client: Client) -> None:
    described = client.ask("get_server_metadata")
    assert (described["name"], described["version"]) == ("topfive", __version__)
    assert {"binary_tensor_data", "model_configuration", "schedule_policy", "statistics"} <= set(
        described["extensions"]
    )


@pytest.mark.parametrize("version", ["", "1"])
def test_a_model_says_what_it_takes_and_gives(client: Client, version: str) -> None:
    assert client.ask("get_model_metadata", MODEL, version) == {
        "name": MODEL,
        "versions": [1],
        "platform": "ensemble",
        "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
        "outputs": [{"name": name, "datatype": datatype, "shape": [-1, 5]} for name, datatype in OUTPUTS.items()],
    }


@pytest.mark.parametrize("shape", [(2,), (2, 1)])
def test_image_files_are_taken_as_bytes(
    client: Client, service: ServingProcess, cat: Photo, coffee: Photo, encode: Encode, shape: tuple[int, ...]
) -> None:
    """Of any sizes, each answered as by itself on the other route; without binary tensors they are base64."""
    files = [encode(cat, "PNG"), encode(coffee, "JPEG")]
    sent = files if client.way.binary or not client.way.over_http else list(map(base64.b64encode, files))
    answer = client.infer(MODEL, np.array(sent, np.object_).reshape(shape))
    for file, classes, probabilities in zip(
        files, answer.outputs["classes"], answer.outputs["probabilities"], strict=True
    ):
        predictions = service.classify(file).json["predictions"]
        assert classes.tolist() == [each["label"] for each in predictions]
        assert probabilities == pytest.approx([each["probability"] for each in predictions], abs=1e-4)


def test_a_bad_image_file_is_refused_by_its_index(client: Client, cat: Photo, encode: Encode) -> None:
    file = encode(cat, "PNG")
    sent = [file, file[:9000]]
    if not client.way.binary and client.way.over_http:
        sent = list(map(base64.b64encode, sent))
    expected = ("422", "INVALID_ARGUMENT")
    words = ["element 1 of input 'image': "]
    assert_refused(client, expected, words, "infer", MODEL, np.array(sent, np.object_))


def test_a_model_shows_its_configuration(client: Client) -> None:
    config = client.config(MODEL)
    assert (config["name"], config["platform"], config["max_batch_size"]) == (MODEL, "ensemble", 16)
    assert config["input"][0]["dims"] == [-1, -1, 3]
    assert [step["model_name"] for step in config["ensemble_scheduling"]["step"]][1] == CLASSIFIER
    queue = client.config(CLASSIFIER)["dynamic_batching"]
    assert queue["max_queue_delay_microseconds"] == 0


@pytest.mark.parametrize(
    ("asked", "arguments"),
    [
        ("get_model_metadata", ("nope",)),
        ("get_model_metadata", (MODEL, "2")),
        ("get_model_metadata", (MODEL, "one")),
        ("get_model_config", ("nope",)),
        ("get_inference_statistics", ("nope",)),
    ],
)
def test_a_description_of_what_is_not_served_is_not_found(
    client: Client, asked: str, arguments: tuple[str, ...]
) -> None:
    assert_refused(client, UNKNOWN, ["served"], asked, *arguments)


def statistics(client: Client, model: str = MODEL, version: str = "") -> dict[str, Any]:
    (found,) = client.ask("get_inference_statistics", model, version)["model_stats"]
    assert (found["name"], found["version"]) == (model, 1)
    return dict(found)


def test_statistics_grow_by_what_was_asked(client: Client, cat: Photo) -> None:
    """Images by images, requests by requests, executions by images or fewer, failures apart."""
    before = statistics(client)
    client.infer(MODEL, np.concatenate([one(cat)] * 3))
    client.refusal("infer", MODEL, one(cat), name="picture")
    after = statistics(client, version="1")
    assert after["inference_count"] - before["inference_count"] == 3
    executions = after["execution_count"] - before["execution_count"]
    assert 1 <= executions <= 3
    grown = {
        leaf: {key: ended[key] - before["inference_stats"][leaf][key] for key in ("count", "ns")}
        for leaf, ended in after["inference_stats"].items()
    }
    parts = ("queue", "compute_input", "compute_infer", "compute_output")
    assert {leaf: grown[leaf]["count"] for leaf in grown} == {
        "success": 1,
        "fail": 1,
        **dict.fromkeys(parts, 1),
        "cache_hit": 0,
        "cache_miss": 0,
    }
    assert all(0 <= grown[part]["ns"] <= grown["success"]["ns"] for part in parts)
    assert grown["compute_infer"]["ns"] > 0
    assert images_by_batch(after) - images_by_batch(before) == 3
    assert after["last_inference"] >= before["last_inference"]


def images_by_batch(found: dict[str, Any]) -> int:
    return sum(batch["batch_size"] * batch["compute_infer"]["count"] for batch in found["batch_stats"])


def test_statistics_of_all_models_come_at_once(client: Client) -> None:
    found = client.ask("get_inference_statistics")["model_stats"]
    assert {model["name"] for model in found} == {MODEL, CLASSIFIER}


def test_a_photo_is_recognised(client: Client, cat: Photo) -> None:
    answer = client.infer(MODEL, cat[np.newaxis])
    assert (answer.model, answer.version) == (MODEL, "1")
    assert answer.labels[0] in CAT
    outputs = answer.outputs
    assert {name: (values.shape, values.dtype.name) for name, values in outputs.items()} == {
        "classes": ((1, 5), "object"),
        "probabilities": ((1, 5), "float32"),
        "indices": ((1, 5), "int64"),
    }
    assert list(outputs["probabilities"][0]) == sorted(outputs["probabilities"][0], reverse=True)


def test_all_ways_give_the_same_answer(client: Client, service: ServingProcess, cat: Photo) -> None:
    """To the last bit, in JSON too."""
    with connected(WAYS[0], service) as plain:
        expected = plain.infer(MODEL, one(cat)).outputs
    answered = client.infer(MODEL, one(cat)).outputs
    assert all(np.array_equal(answered[name], expected[name]) for name in OUTPUTS)


def test_a_batch_keeps_its_order(client: Client, cat: Photo, coffee: Photo, palace: Photo) -> None:
    photos = [photo[:300:3, :400:3] for photo in (cat, coffee, palace)]
    alone = [client.infer(MODEL, photo[np.newaxis]).labels[0] for photo in photos]
    order = [2, 0, 1, 1, 0, 2, 0]
    assert client.infer(MODEL, np.stack([photos[which] for which in order])).labels == [alone[which] for which in order]


@pytest.mark.parametrize("request_id", ["a1-b2", "42", "ä€😀", 'a "quoted" one'])
def test_an_id_comes_back_unchanged(client: Client, request_id: str) -> None:
    assert client.infer(MODEL, TINY, request_id=request_id).id == request_id


def test_without_an_id_there_is_none(client: Client) -> None:
    assert client.infer(MODEL, TINY).id is None


@pytest.mark.parametrize("asked", [["classes"], ["indices", "classes"], ["probabilities"]])
def test_only_the_outputs_asked_for_are_answered(client: Client, asked: list[str]) -> None:
    """In the model's order; each is its own, whatever was left out before it."""
    everything = client.infer(MODEL, TINY).outputs
    some = client.infer(MODEL, TINY, outputs=asked).outputs
    assert list(some) == [name for name in OUTPUTS if name in asked]
    assert all(np.array_equal(some[name], everything[name]) for name in some)


def test_a_version_can_be_chosen(client: Client) -> None:
    assert client.infer(MODEL, TINY, model_version="1").version == "1"
    assert_refused(client, UNKNOWN, ["version 2"], "infer", MODEL, TINY, model_version="2")
    assert_refused(client, UNKNOWN, ["'one'"], "infer", MODEL, TINY, model_version="one")


def test_a_request_may_say_how_long_it_waits(client: Client) -> None:
    def answered(**named: Any) -> Answer:
        return client.infer(MODEL, TINY, **named)

    assert answered(timeout=60_000_000).labels == answered(timeout=0).labels
    assert_refused(client, EXPIRED, ["deadline"], "infer", MODEL, TINY, timeout=1)


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_a_request_may_say_how_urgent_it_is(client: Client, cat: Photo, priority: int) -> None:
    assert client.infer(MODEL, one(cat), priority=priority).labels[0] in CAT


PIXELS: Final = np.zeros((1, 4, 4, 3), np.uint8)


# Images, what else is asked, the status, words of the message.
REFUSED: Final = [
    (PIXELS, {"model": "nope"}, UNKNOWN, ["'nope'", MODEL]),
    (PIXELS.astype(np.float32), {}, MALFORMED, ["'FP32'", "'UINT8'"]),
    (PIXELS.astype(np.int8), {}, MALFORMED, ["'INT8'", "'UINT8'"]),
    (PIXELS[0], {}, MALFORMED, ["[4, 4, 3]", "[-1, -1, -1, 3]"]),
    (PIXELS[..., :2].copy(), {}, MALFORMED, ["[1, 4, 4, 2]"]),
    (PIXELS[:, :0].copy(), {}, MALFORMED, ["height is 0"]),
    (PIXELS[:0].copy(), {}, MALFORMED, ["count is 0"]),
    (PIXELS, {"name": "picture"}, MALFORMED, ["'picture'", "'image'"]),
    (PIXELS, {"outputs": ["classes", "colours"]}, MALFORMED, ["'colours'", "'probabilities'"]),
    (np.zeros((17, 4, 4, 3), np.uint8), {}, MALFORMED, ["<= 16", "17"]),
    (PIXELS, {"outputs": ["classes"], "class_count": 3}, UNSUPPORTED, ["classification"]),
    (PIXELS, {"request_id": "x" * 5000}, MALFORMED, ["'id'", "4096"]),
]
REFUSED_IDS: Final = [
    "unknown model",
    "another datatype",
    "as many bytes of another datatype",
    "rank",
    "channels",
    "no height",
    "no image",
    "input's name",
    "output's name",
    "too many images",
    "class_count",
    "a long id",
]


@pytest.mark.parametrize(("images", "named", "expected", "words"), REFUSED, ids=REFUSED_IDS)
def test_what_cannot_be_meant_is_refused(
    client: Client, images: Array, named: dict[str, Any], expected: tuple[str, str], words: list[str]
) -> None:
    """With its own status, and with words that say what was given and what is taken; the next request is answered."""
    assert_refused(client, expected, words, "infer", images=images, **{"model": MODEL, **named})
    assert client.infer(MODEL, PIXELS).outputs["classes"].shape == (1, 5)


@pytest.mark.parametrize(("images", "named", "expected", "words"), REFUSED, ids=REFUSED_IDS)
def test_all_ways_are_refused_with_the_same_words(
    client: Client, service: ServingProcess, images: Array, named: dict[str, Any], expected: Any, words: Any
) -> None:
    asked = {"model": MODEL, "images": images, **named}
    with connected(WAYS[0], service) as plain:
        assert client.refusal("infer", **asked)[1] == plain.refusal("infer", **asked)[1]


def test_a_parameter_of_ones_own_does_no_harm(client: Client, cat: Photo) -> None:
    own = {"camera": "north", "frame": 7, "night": False}
    assert client.infer(MODEL, one(cat), parameters=own).labels[0] in CAT


def test_the_index_lists_every_model(client: Client) -> None:
    entries = {entry["name"]: entry for entry in client.index()}
    assert set(entries) == {MODEL, CLASSIFIER, "efficientnet_lite0_resize"}
    assert all((entry["version"], entry["state"]) == (1, "READY") for entry in entries.values())


@pytest.mark.parametrize("asked", ["load_model", "unload_model"])
def test_models_are_not_changed_by_who_may_not(client: Client, asked: str) -> None:
    """Model control is off unless a setting turns it on."""
    assert_refused(client, UNSUPPORTED, ["model_control"], asked, MODEL)
    assert client.ask("is_model_ready", MODEL) is True
