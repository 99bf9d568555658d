"""A baseline of photos and one of the traffic with the same photos say the same; what it keeps is what matters."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from tests.testkit.baselines import BASE
from tests.testkit.image_files import encode
from topfive.ground.drift import FORMATS, LABELS, MEGAPIXELS, MOST_LABELS, NONE, OTHER, SIGNALS, LabelBuckets, Sent
from topfive.ground.errors import ConfigurationError
from topfive.observe.drift import DriftMetrics
from topfive.repository.baseline import read_baseline
from topfive_pipeline.gating.answers import Answer, Prediction
from topfive_pipeline.gating.baseline import LEAST_IMAGES, Origin, from_answers, from_metrics, write
from topfive_pipeline.proof.photos import Photo

ORIGIN: Final = Origin(source="a test", version="3")
REFUSED: Final = Answer(415, code="unsupported_media_type")
ANSWERS: Final = st.lists(st.tuples(st.integers(0, 1100), st.floats(0, 1)), min_size=1, max_size=8)


def answer(label: str, index: int, probability: float) -> Answer:
    return Answer(200, (Prediction(label, index, probability),)) if label else Answer(200)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Photo]:
    """Three files: a JPEG, a PNG of the same size, and a small one."""
    folder = tmp_path_factory.mktemp("photos")
    large, small = np.zeros((300, 400, 3), np.uint8), np.zeros((8, 8, 3), np.uint8)
    files = {"a.jpg": encode(large, "JPEG"), "b.png": encode(large, "PNG"), "c.jpg": encode(small, "JPEG")}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return [Photo(folder / name) for name in files]


@settings(max_examples=5)
@given(answers=ANSWERS)
def test_photos_and_traffic_with_them_have_the_same_baseline(
    photos: list[Photo], answers: list[tuple[int, float]]
) -> None:
    """But that traffic does not know the names of classes beyond the first 32."""
    sent = [Sent("jpeg", 120_000), Sent("png", 120_000), Sent("jpeg", 64)]
    registry = CollectorRegistry()
    model = DriftMetrics(registry, keeps_series=False).model("m")
    asked, told = [], []
    for turn in range(LEAST_IMAGES):
        index, probability = answers[turn % len(answers)]
        asked.append(photos[turn % 3])
        told.append(answer(f"label {index}", index, probability))
        model.count(f"label {index}", index, probability, sent[turn % 3])
    of_photos = from_answers(asked, told, ORIGIN)
    of_traffic = from_metrics(generate_latest(registry).decode(), model="m", origin=ORIGIN)
    for signal in set(SIGNALS) - {LABELS}:
        assert of_photos.counts[signal] == of_traffic.counts[signal]
        assert of_photos.images(signal) == LEAST_IMAGES
    assert of_photos.images(LABELS) == of_traffic.images(LABELS) == LEAST_IMAGES
    counted = LabelBuckets(of_photos.counts[LABELS])
    again = [counted.of(*(("", 0) if each.first is None else (each.first.label, each.first.index))) for each in told]
    assert {bucket: again.count(bucket) for bucket in set(again)} == {
        bucket: count for bucket, count in of_photos.counts[LABELS].items() if count
    }, "the service counts these photos as the baseline does"


def test_frequent_labels_have_names_the_rest_groups_and_what_is_rare_is_other(photos: list[Photo]) -> None:
    told = [
        *[answer("tabby", 281, 0.9)] * 100,
        *[answer("espresso", 967, 0.6)] * 60,
        *[answer(f"dog {index}", index, 0.3) for index in range(160, 192)],  # each rare, together a group
        answer("sundial", 835, 0.2),
        answer("", 0, 0.0),
        *[answer("x" * 500, 5, 0.2)] * 10,
        *[REFUSED] * 50,
    ]
    found = from_answers([photos[0]] * len(told), told, ORIGIN)
    assert found.counts[LABELS] == {
        "tabby": 100,
        "espresso": 60,
        "classes 160-191": 32,
        "x" * 120: 10,
        OTHER: 1,
        NONE: 1,
    }
    assert found.counts[FORMATS]["jpeg"] == len(told) - 50
    assert found.counts[MEGAPIXELS]["0.12"] == len(told) - 50


def test_buckets_of_labels_are_few(photos: list[Photo]) -> None:
    told = [answer(f"label {index % 90}", 32 * (index % 90), 0.5) for index in range(1000)]
    found = from_answers([photos[0]] * len(told), told, ORIGIN)
    assert len(found.counts[LABELS]) <= MOST_LABELS + 2
    registry = CollectorRegistry()
    model = DriftMetrics(registry, keeps_series=False).model("m")
    for index in range(1024):
        model.count(f"label {index}", index, 0.5, Sent("raw", 1))
    of_traffic = from_metrics(generate_latest(registry).decode(), model="m", origin=ORIGIN)
    assert len(of_traffic.counts[LABELS]) <= MOST_LABELS + 2
    assert of_traffic.counts[LABELS]["classes 32-63"] == 32


def test_too_few_images_are_refused(photos: list[Photo]) -> None:
    with pytest.raises(ConfigurationError, match="a test: 1 images were answered, and a baseline needs 200"):
        from_answers(photos[:2], [answer("cat", 1, 0.5), REFUSED], ORIGIN)
    with pytest.raises(ConfigurationError, match="0 images were answered"):
        from_metrics("", model="m", origin=ORIGIN)
    with pytest.raises(ConfigurationError, match="not Prometheus' text format"):
        from_metrics("<html>", model="m", origin=ORIGIN)


def test_it_is_written_beside_a_model_in_place_of_an_older_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no model"):
        write(BASE, tmp_path)
    (tmp_path / "config.pbtxt").touch()
    (tmp_path / "baseline.json").write_text("older")
    assert read_baseline(write(BASE, tmp_path)) == BASE
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline.json", "config.pbtxt"]
