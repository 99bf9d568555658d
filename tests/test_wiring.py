"""Which models can be served together: what makes an ensemble, what a classifier, and what a change may leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import ConfigurationError
from service.repository import StoredModel, read_repository
from service.wiring import apply
from tests.tiny_models import (
    BATCHING,
    CROP_CONFIG,
    IMAGE,
    OUTPUTS,
    PIXELS,
    classifier_graph,
    config,
    crop_graph,
    ensemble_config,
    write_model,
    write_tiny_repository,
)


def judge(repository: Path) -> dict[str, StoredModel]:
    """What would be served of `repository`."""
    return apply({}, read_repository(repository))


# What is refused. Each `wrong` is a text of the ensemble's config.pbtxt and what to put in its place.

SECOND_STEP = """step { model_name: "classify" model_version: -1"""


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ('model_name: "crop"', 'model_name: "absent"'),
        ('model_name: "classify"', 'model_name: "absent"'),
        ('model_name: "crop"', 'model_name: "classify"'),
        ('model_name: "classify"', 'model_name: "crop"'),
        ('input_map { key: "image" value: "image" }', 'input_map { key: "image" value: "picture" }'),
        ('input_map { key: "image" value: "image" }', 'input_map { key: "picture" value: "image" }'),
        ('output_map { key: "pixels" value: "pixels" }', 'output_map { key: "crops" value: "pixels" }'),
        ('output_map { key: "pixels" value: "pixels" }', 'output_map { key: "pixels" value: "crops" }'),
        ('input_map { key: "pixels" value: "pixels" }', 'input_map { key: "crops" value: "pixels" }'),
        ('input_map { key: "pixels" value: "pixels" }', 'input_map { key: "pixels" value: "image" }'),
        ('output_map { key: "indices" value: "indices" }', ""),
        ('output_map { key: "indices" value: "indices" }', 'output_map { key: "indices" value: "numbers" }'),
        (SECOND_STEP, f'step {{ model_name: "crop" model_version: -1 }} {SECOND_STEP}'),
        ('"image" data_type: TYPE_UINT8', '"image" data_type: TYPE_FP32'),
        ("dims: [ -1, -1, 3 ]", "dims: [ -1, -1 ]"),
        ("dims: [ -1, -1, 3 ]", "dims: [ -1, -1, 1 ]"),
    ],
)
def test_an_ensemble_wired_wrongly_is_refused_by_name(tmp_path: Path, right: str, wrong: str) -> None:
    write_tiny_repository(tmp_path)
    text = ensemble_config()
    assert right in text
    write_model(tmp_path, "tiny", text.replace(right, wrong, 1))
    with pytest.raises(ConfigurationError, match="tiny"):
        judge(tmp_path)


def test_an_ensemble_whose_steps_do_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    """Crops of one size into a classifier of another would fail on every request."""
    write_tiny_repository(tmp_path)
    pixels = ("pixels", PIXELS[1], (-1, 3, 3, 3))
    write_model(tmp_path, "crop", config([IMAGE], [pixels]), crop_graph(pixels=pixels))
    with pytest.raises(ConfigurationError, match="tiny"):
        judge(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        CROP_CONFIG,
        config([PIXELS], OUTPUTS[:2], BATCHING),
        config([PIXELS], [("scores", 1, (-1, 1000))], BATCHING),
        config([PIXELS], [("classes", 1, (-1, 5)), *OUTPUTS[1:]], BATCHING),
    ],
    ids=["only a crop", "no indices", "scores", "classes as numbers"],
)
def test_a_repository_without_a_classifier_is_refused(tmp_path: Path, text: str) -> None:
    """Rather than become ready and serve nothing; the message says what a classifier puts out."""
    write_model(tmp_path, "m", text, crop_graph())
    with pytest.raises(ConfigurationError, match="classes"):
        judge(tmp_path)


@pytest.mark.parametrize(
    "image",
    [
        ("pixels", 1, (-1, 2, 2, 3)),
        ("pixels", 2, (-1, 3, 2, 2)),
        ("pixels", 2, (-1, 12)),
    ],
    ids=["floats", "channels first", "flat"],
)
def test_a_classifier_must_take_uint8_images(tmp_path: Path, image: tuple[str, int, tuple[int, ...]]) -> None:
    write_model(tmp_path, "m", config([image], OUTPUTS, BATCHING), classifier_graph())
    with pytest.raises(ConfigurationError, match=r"'m'.*TYPE_UINT8"):
        judge(tmp_path)


def test_a_classifier_must_take_one_input(tmp_path: Path) -> None:
    write_model(tmp_path, "m", config([PIXELS, IMAGE], OUTPUTS, BATCHING), classifier_graph())
    with pytest.raises(ConfigurationError, match=r"'m'.*one input"):
        judge(tmp_path)
