"""From an image to its counts, alike over every door and in two worker processes; and a baseline is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from tests.testkit.grpc_messages import image_message
from tests.testkit.image_files import encode
from tests.testkit.oip_bodies import binary_image
from tests.testkit.rpc import answer_of, channel_to
from tests.testkit.serving_process import RAW, READY, ServingProcess
from tests.testkit.tiny_models import write_several_repository, write_tiny_repository
from topfive.ground.drift import CONFIDENCE, FORMATS, LABELS, MEGAPIXELS, NONE
from topfive.repository.baseline import BASELINE, read_baseline
from topfive_pipeline.commands.baseline import main

DARK: Final = np.full((300, 400, 3), 7, np.uint8)
BRIGHT: Final = np.full((4, 4, 3), 250, np.uint8)
SEVERAL: Final = "of_3"
"""A model of which several labels can be true: for a dark image none is."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_several_repository(write_tiny_repository(tmp_path_factory.mktemp("models")), 3)


@pytest.fixture(scope="module")
def service(repository: Path) -> Iterator[ServingProcess]:
    """Two worker processes, which look at their repository."""
    polls = ("--model-control", "poll", "--poll-seconds", "0.05", "--default-model", "tiny")
    with ServingProcess("--model-repository", str(repository), *polls, "--workers", "2") as process:
        process.wait_for_log(READY, count=2)
        yield process


def counted(service: ServingProcess, model: str = "tiny") -> dict[str, float]:
    """Images in the signals' totals, and those of the formats and labels that matter here."""
    names = {"confidence": "topfive_confidence_count", "megapixels": "topfive_image_megapixels_count"}
    found = {name: service.metric(metric, model=model) for name, metric in names.items()}
    for form in ("jpeg", "png", "raw"):
        found[form] = service.metric("topfive_image_formats_total", model=model, format=form)
    return found | {"value 7": service.metric("topfive_labels_total", model=model, label="value 7")}


def test_every_answered_image_counts_over_every_door_and_no_other(service: ServingProcess) -> None:
    """Files, several in a request, raw pixels, over HTTP, the protocol's REST and gRPC; refused ones do not."""
    jpeg, png = encode(DARK, "JPEG", quality=100), encode(DARK, "PNG")
    for _ in range(4):  # on connections of their own, so both processes answer
        assert service.classify(png, "image/png").status == 200
    assert service.classify(jpeg, "image/jpeg").status == 200
    assert service.classify(DARK[:4, :4].tobytes() * 2, RAW, height=4, width=4, count=2).status == 200
    assert service.classify(b"no image", "image/jpeg").status == 422
    assert service.classify(BRIGHT.tobytes(), RAW, height=4, width=4).status == 500
    body = binary_image(DARK[None])
    assert service.ask("POST", "/v2/models/tiny/infer", body.content, body.headers).status == 200
    with channel_to(service) as channel:
        message = image_message(np.stack([DARK, DARK]))
        message.model_name = "tiny"
        assert isinstance(answer_of(channel.infer(message)), pb.ModelInferResponse)
    service.wait_until(lambda: counted(service)["confidence"] == 10)
    assert counted(service) == {"confidence": 10, "megapixels": 10, "jpeg": 1, "png": 4, "raw": 5, "value 7": 10}
    assert service.metric("topfive_image_megapixels_bucket", model="tiny", le="0.06") == 2, "300 x 400 is above"
    assert service.metric("topfive_confidence_bucket", model="tiny", le="0.4") == 0
    assert service.metric("topfive_confidence_bucket", model="tiny", le="0.5") == 10
    assert service.metric("topfive_confidence_count", model="classify") == 0, "a step counts with its ensemble"


def test_an_image_without_a_label_counts_too(service: ServingProcess) -> None:
    assert service.classify(DARK[:4, :4].tobytes(), RAW, height=4, width=4, model=SEVERAL).json["predictions"] == []
    assert service.classify(BRIGHT.tobytes(), RAW, height=4, width=4, model=SEVERAL).labels[0] == "label 0"
    service.wait_until(lambda: service.metric("topfive_confidence_count", model=SEVERAL) == 2)
    assert service.metric("topfive_labels_total", model=SEVERAL, label=NONE) == 1
    assert service.metric("topfive_labels_total", model=SEVERAL, label="label 0") == 1
    assert service.metric("topfive_confidence_bucket", model=SEVERAL, le="0.1") == 1


def test_a_baseline_is_made_of_the_traffic_and_used_by_both_processes(
    service: ServingProcess, repository: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Once there are images enough; and another, of photos, in its place."""
    url = ["--url", f"http://127.0.0.1:{service.port}", "--repository", str(repository)]
    assert main(["tiny", *url]) == 2
    assert "images were answered, and a baseline needs 200" in capsys.readouterr().err
    for _ in range(8):
        assert service.classify(DARK[:4, :4].tobytes() * 32, RAW, height=4, width=4, count=32).status == 200
    service.wait_until(lambda: service.metric("topfive_confidence_count", model="tiny") >= 256)
    assert main(["tiny", *url]) == 0
    said = capsys.readouterr().out
    assert "value 7" in said
    path = repository / "tiny" / BASELINE
    baseline = read_baseline(path)
    assert baseline.counts[LABELS]["value 7"] == baseline.images(CONFIDENCE) >= 256
    assert service.wait_for_log("model 'tiny' is watched for drift from a baseline of", count=2)
    assert service.metric("topfive_baseline_share", model="tiny", signal="labels", bucket="value 7") == 1
    assert service.metric("topfive_baseline_images", model="tiny", signal=FORMATS) == baseline.images(FORMATS)

    photos = tmp_path / "photos"
    photos.mkdir()
    for place in range(200):
        (photos / f"{place}.png").write_bytes(encode(np.full((60, 50, 3), 40 + place % 2, np.uint8), "PNG"))
    assert main(["tiny", *url, "--photos", str(photos)]) == 0
    other = read_baseline(path)
    assert other.counts[LABELS] == {"value 40": 100, "value 41": 100, "(none)": 0, "(other)": 0}
    assert other.counts[FORMATS]["png"] == other.counts[MEGAPIXELS]["0.06"] == 200
    assert (other.version, other.source.startswith("photos of photos")) == ("1", True)
    service.wait_for_log("from a baseline of 200 images", count=2)
    assert service.metric("topfive_baseline_share", model="tiny", signal="labels", bucket="value 7") == -1
    assert service.metric("topfive_baseline_share", model="tiny", signal="labels", bucket="value 40") == 0.5
    before = service.metric("topfive_labels_total", model="tiny", label="value 40")
    assert service.classify(np.full((4, 4, 3), 40, np.uint8).tobytes(), RAW, height=4, width=4).status == 200
    service.wait_until(lambda: service.metric("topfive_labels_total", model="tiny", label="value 40") == before + 1)
    assert sum("model 'classify' version 1 is served" in line for line in service.log) == 2, "nothing is loaded anew"


def test_a_baseline_that_cannot_be_used_is_told_and_left_out(service: ServingProcess, repository: Path) -> None:
    aside = repository / "tiny" / f".{BASELINE}"
    aside.write_text('{"format": 1}')
    aside.replace(repository / "tiny" / BASELINE)
    service.wait_for_log("its members lack 'version'", count=2)
    service.wait_until(lambda: service.metric("topfive_baseline_images", model="tiny") == 0)
    assert service.classify(DARK[:4, :4].tobytes(), RAW, height=4, width=4).labels[0] == "value 7"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["of_9"], "/v2/models/of_9 answers 404"),
        (["tiny", "--url", "localhost"], "say the service's address, as http://"),
        (["tiny", "--url", "http://127.0.0.1:1"], "the service does not answer"),
        (["tiny", "--repository", "nowhere"], "nowhere/tiny: there is no model"),
    ],
)
def test_what_cannot_be_made_is_said(
    service: ServingProcess, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    url = [] if "--url" in arguments else ["--url", f"http://127.0.0.1:{service.port}"]
    assert main([*arguments, *url]) == 2
    assert said in "".join(capsys.readouterr().err.split("\n"))
