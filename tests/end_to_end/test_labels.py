"""Models of any number of labels, several of which can be true, with an embedding beside: by every door."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import numpy as np
import pytest

from tests.conftest import Encode
from tests.testkit.clients import WAYS, Client, connected
from tests.testkit.serving_process import RAW, ServingProcess, serving
from tests.testkit.tiny_models import DIRECTIONS, write_several_repository

COUNTS = (1, 2, 10)
BRIGHT, DIM, DARK = 255, 140, 60
TRUE = {BRIGHT: 10, DIM: 1, DARK: 0}
"""How many of ten labels are at least half probable, by the value of the image."""


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServingProcess]:
    repository = write_several_repository(tmp_path_factory.mktemp("several"), *COUNTS)
    with serving("--model-repository", str(repository)) as process:
        yield process


@pytest.fixture(scope="module", params=WAYS, ids=str)
def client(request: pytest.FixtureRequest, several: ServingProcess) -> Iterator[Client]:
    with connected(request.param, several) as connection:
        yield connection


def probabilities(value: int, labels: int) -> list[float]:
    return [max(0.0, value / 255 - number / 20) for number in range(labels)]


def expected(value: int, labels: int) -> list[str]:
    return [f"label {number}" for number, each in enumerate(probabilities(value, labels)) if each >= 0.5]


def image(value: int, height: int = 4, width: int = 6) -> bytes:
    return bytes([value]) * (height * width * 3)


@pytest.mark.parametrize("labels", COUNTS)
@pytest.mark.parametrize("value", TRUE)
def test_the_answer_holds_the_labels_that_are_true_and_no_empty_place(
    several: ServingProcess, labels: int, value: int
) -> None:
    """Perhaps none; probabilities may add up to more than 1."""
    answer = several.classify(image(value), RAW, model=f"of_{labels}", height=4, width=6)
    assert answer.status == 200, answer
    assert answer.labels == expected(value, labels)
    assert len(answer.labels) == min(labels, TRUE[value])
    found = [each["probability"] for each in answer.json["predictions"]]
    assert found == pytest.approx(probabilities(value, labels)[: len(found)], abs=1e-6)
    assert [each["index"] for each in answer.json["predictions"]] == list(range(len(found)))


def test_each_of_several_images_has_as_many_as_are_true_of_it(several: ServingProcess) -> None:
    """In the form of TF Serving too."""
    body = image(BRIGHT) + image(DARK) + image(DIM)
    answer = several.classify(body, RAW, model="of_10", height=4, width=6, count=3, top=4)
    assert [len(each["predictions"]) for each in answer.json["images"]] == [4, 0, 1]
    assert several.classify(image(DIM), RAW, model="of_10", height=4, width=6, threshold=0.6).labels == []


def test_instances_hold_no_empty_place_either(several: ServingProcess, encode: Encode) -> None:
    text = base64.b64encode(encode(np.full((4, 6, 3), DIM, np.uint8), "PNG")).decode()
    body = json.dumps({"instances": [{"b64": text}]}).encode()
    answer = several.classify(body, "application/json", model="of_10").json
    (instance,) = answer["predictions"]
    assert (instance["classes"], instance["indices"]) == (["label 0"], [0])
    assert instance["probabilities"] == pytest.approx([DIM / 255])


@pytest.mark.parametrize("labels", COUNTS)
def test_the_protocol_passes_every_place_on_as_the_graph_put_it_out(client: Client, labels: int) -> None:
    """With the embedding; a batch of images that differ."""
    values = list(TRUE)
    pixels = np.stack([np.full((4, 6, 3), value, np.uint8) for value in values])
    asked = ("classes", "probabilities", "indices", "embedding")
    outputs = client.infer(f"of_{labels}", pixels, outputs=asked).outputs
    assert outputs["classes"].shape == (len(values), labels)
    assert outputs["embedding"].shape == (len(values), len(DIRECTIONS))
    for row, value in enumerate(values):
        true = expected(value, labels)
        assert outputs["classes"][row].tolist() == [*true, *[""] * (labels - len(true))]
        assert outputs["probabilities"][row].tolist() == pytest.approx(probabilities(value, labels), abs=1e-6)
        assert outputs["indices"][row].tolist() == list(range(labels))
        assert outputs["embedding"][row].tolist() == pytest.approx([value * each for each in DIRECTIONS])


@pytest.mark.parametrize("labels", COUNTS)
def test_more_labels_than_there_are_places_for_are_refused(several: ServingProcess, labels: int) -> None:
    answer = several.classify(image(BRIGHT), RAW, model=f"of_{labels}", height=4, width=6, top=labels + 1)
    assert f"puts out {labels} labels" in answer.assert_error(400, "malformed_request")
