"""Which models can be served together: what makes an ensemble, what a classifier, and what a change may leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import (
    BATCHING,
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    FURTHER,
    IMAGE,
    OUTPUTS,
    PIXELS,
    classifier_graph,
    config,
    crop_graph,
    ensemble_config,
    write_further_repository,
    write_model,
    write_tiny_repository,
)
from topfive.ground.errors import ConfigurationError
from topfive.models.wiring import apply, related
from topfive.repository.reading import StoredModel


def judge(repository: Path) -> dict[str, StoredModel]:
    """What would be served of `repository`."""
    return apply({}, read_repository(repository))


def with_least(folder: Path, pixels: int) -> None:
    file = folder / "config.pbtxt"
    least = f'parameters {{ key: "jpeg_short_side" value {{ string_value: "{pixels}" }} }}'
    file.write_text(file.read_text(encoding="utf-8") + least, encoding="utf-8")


def test_jpegs_are_decoded_smaller_for_a_model_that_resizes_only(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path)
    (made,) = {max(judge(tmp_path)["crop"].config.outputs[0].shape[1:3])}
    with_least(tmp_path / "crop", made)
    assert judge(tmp_path)["crop"].config.jpeg_short_side == made
    with_least(tmp_path / "classify", made)
    with pytest.raises(ConfigurationError, match="jpeg_short_side is for the model that resizes"):
        judge(tmp_path)


def test_jpegs_are_not_decoded_smaller_than_the_crop(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path)
    with_least(tmp_path / "crop", 1)
    with pytest.raises(ConfigurationError, match="JPEGs would be enlarged"):
        judge(tmp_path)


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
    """Rather than become ready and serve nothing; the message says what a classifier puts out, and the next step."""
    write_model(tmp_path, "m", text, crop_graph())
    with pytest.raises(ConfigurationError, match="classes") as refused:
        judge(tmp_path)
    graph = tmp_path / "m" / "1" / "model.onnx"
    step = "first step of an ensemble" if text == CROP_CONFIG else f"`topfive import {graph} --name NAME`"
    assert step in str(refused.value)


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
    with pytest.raises(ConfigurationError, match=r"'m'.*TYPE_UINT8.*topfive import \S+/m/1/model.onnx"):
        judge(tmp_path)


def test_a_classifier_must_take_one_input(tmp_path: Path) -> None:
    write_model(tmp_path, "m", config([PIXELS, IMAGE], OUTPUTS, BATCHING), classifier_graph())
    with pytest.raises(ConfigurationError, match=r"'m'.*one input"):
        judge(tmp_path)


def test_an_ensemble_passes_on_what_its_classifier_puts_out_beside_the_labels(tmp_path: Path) -> None:
    """All, some or none of it."""
    write_further_repository(tmp_path)
    for count in (0, 1, len(FURTHER)):
        write_model(tmp_path, "tiny", ensemble_config(outputs=[*OUTPUTS, *FURTHER[:count]]))
        assert sorted(judge(tmp_path)) == ["classify", "crop", "tiny"]


EMBEDDING = 'output { name: "embedding" data_type: TYPE_FP32 dims: [ 4 ] }'
MAPPED = 'output_map { key: "embedding" value: "embedding" }'


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        (EMBEDDING, "", "passes 'embedding' on; declare it as an output too"),
        (MAPPED, "", "output 'embedding' comes from no step; add it to the output_map of 'classify'"),
        (MAPPED, MAPPED.replace('value: "embedding"', 'value: "features"'), "calls 'embedding' 'features'"),
        (MAPPED, MAPPED.replace('key: "embedding"', 'key: "features"'), "names 'features', but 'classify' puts out"),
        ("TYPE_FP32 dims: [ 4 ]", "TYPE_FP16 dims: [ 4 ]", r"'embedding' is FP16 \[-1, 4\], but .* FP32 \[-1, 4\]"),
        ("TYPE_FP32 dims: [ 4 ]", "TYPE_FP32 dims: [ 3 ]", r"'embedding' is FP32 \[-1, 3\], but .* FP32 \[-1, 4\]"),
    ],
)
def test_an_output_passed_on_wrongly_is_refused_by_name(tmp_path: Path, right: str, wrong: str, says: str) -> None:
    write_further_repository(tmp_path)
    text = ensemble_config(outputs=[*OUTPUTS, FURTHER[0]]).replace("  ", " ")
    assert right in text
    write_model(tmp_path, "tiny", text.replace(right, wrong))
    with pytest.raises(ConfigurationError, match=f"tiny: its .*{says}"):
        judge(tmp_path)


def test_the_steps_of_an_ensemble_cannot_be_ensembles(tmp_path: Path) -> None:
    """Though they put out what a classifier does."""
    write_tiny_repository(tmp_path)
    write_model(tmp_path, "outer", ensemble_config(second="tiny"))
    with pytest.raises(ConfigurationError, match=r"outer: .*ensembles of two steps"):
        judge(tmp_path)


def test_a_step_must_name_a_version_that_is_served(tmp_path: Path) -> None:
    write_tiny_repository(tmp_path)
    write_model(tmp_path, "tiny", ensemble_config().replace('"crop" model_version: -1', '"crop" model_version: 2'))
    with pytest.raises(ConfigurationError, match=r"tiny: a step names version 2 of 'crop'"):
        judge(tmp_path)


# Changes


def test_a_change_adds_replaces_and_removes(tmp_path: Path) -> None:
    stored = judge(write_tiny_repository(tmp_path / "old"))
    write_model(tmp_path / "new", "classify", CLASSIFIER_CONFIG, classifier_graph(), versions=[2])
    write_model(tmp_path / "new", "other", CLASSIFIER_CONFIG, classifier_graph())
    found = read_repository(tmp_path / "new")
    assert apply(stored, found) == stored | found
    assert apply(stored, {"tiny": None, "crop": None}) == {"classify": stored["classify"]}


def test_a_step_leaves_with_its_last_ensemble(tmp_path: Path) -> None:
    """Where it could be called by itself it stays."""
    write_model(tmp_path, "other", ensemble_config())
    stored = judge(write_tiny_repository(tmp_path))
    left = apply(stored, {"tiny": None})
    assert sorted(left) == ["classify", "crop", "other"]
    assert sorted(apply(left, {"other": None})) == ["classify"]


@pytest.mark.parametrize("step", ["crop", "classify"])
def test_an_ensemble_keeps_its_steps(tmp_path: Path, step: str) -> None:
    stored = judge(write_tiny_repository(tmp_path))
    with pytest.raises(ConfigurationError, match=f"tiny: its step '{step}' is not there"):
        apply(stored, {step: None})


def test_what_an_ensemble_joins_changes_together(tmp_path: Path) -> None:
    """As it was or as it will be; others by themselves."""
    stored = judge(write_tiny_repository(tmp_path))
    write_model(tmp_path, "crop2", CROP_CONFIG, crop_graph())
    write_model(tmp_path, "tiny2", ensemble_config(first="crop2"))
    found = judge(tmp_path)

    def groups(before: dict[str, StoredModel], after: dict[str, StoredModel], names: str) -> list[list[str]]:
        return sorted(map(sorted, related(before, after, names.split())))

    assert groups(stored, found, "crop") == [["crop"]]
    assert groups(stored, found, "crop crop2") == [["crop"], ["crop2"]]
    assert groups(stored, found, "crop other classify") == [["classify", "crop"], ["other"]]
    assert groups(stored, found, "crop crop2 classify") == [["classify", "crop", "crop2"]]
    assert groups(stored, {}, "tiny crop") == groups({}, stored, "tiny crop") == [["crop", "tiny"]]
    assert groups(stored, found, "") == []
