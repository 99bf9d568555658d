"""The zoo: what counts as imported, and as the framework's answer. The models themselves take minutes to make."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import zoo
from benchmarks.repositories import STURDY, write_sturdy
from benchmarks.server import Service
from benchmarks.zoo_models import saving
from benchmarks.zoo_models.saving import Recipe
from topfive_loadgen import tables


def imported(*, done: bool, said: str = "", refused: str = "") -> zoo.Imported:
    recipe = Recipe(arguments=[], refused=refused)
    return zoo.Imported(name=STURDY, recipe=recipe, command="topfive import", seconds=1.0, said=said, done=done)


@pytest.mark.parametrize(
    ("model", "wanted"),
    [
        (imported(done=True), True),
        (imported(done=False, said="no labels"), False),
        (imported(done=False, said="pass options={'ZipMap': False}", refused="zipmap"), True),
        (imported(done=False, said="no labels", refused="zipmap"), False),
        (imported(done=True, said="ZipMap was cut off", refused="zipmap"), False),
    ],
)
def test_a_model_that_must_be_refused_must_be_refused_for_that_reason(model: zoo.Imported, wanted: bool) -> None:
    assert model.as_wanted is wanted
    assert all(check.met for check in zoo.checks([model], {})) is wanted


def test_no_answer_is_as_far_as_can_be() -> None:
    right = np.array([0.1, 0.7, 0.2], np.float32)
    assert zoo.largest([{"index": 1, "probability": 0.6}, {"index": 2, "probability": 0.2}], right) == pytest.approx(
        0.1
    )
    assert zoo.largest([], right) == 1.0


def test_pictures_are_upright_without_profiles_and_some_are_strips(tmp_path: Path) -> None:
    """Such as the service and the frameworks see alike."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    (tmp_path / "photos.in").mkdir()
    Image.new("RGB", (20, 50), "red").save(tmp_path / "photos.in" / "a.jpg", exif=exif, icc_profile=b"profile")
    saving.write_pictures(tmp_path, tmp_path / "photos.in", 1)
    [photo], [strip] = saving.pictures(tmp_path), saving.pictures(tmp_path, saving.STRIPS)
    assert (photo.size, strip.size) == ((50, 20), (50, 10))
    with Image.open(tmp_path / saving.PHOTOS / "a.png") as written:
        assert not written.info


def test_what_is_served_is_compared_with_what_was_expected(tmp_path: Path) -> None:
    """Of a model that names the brightest value of a picture; one of two expectations is wrong."""
    write_sturdy(tmp_path / zoo.REPOSITORY)
    folder = saving.folder_of(tmp_path, STURDY)
    (tmp_path / saving.PHOTOS).mkdir()
    for value in (3, 7):
        Image.new("RGB", (2, 2), (value, value, value)).save(tmp_path / saving.PHOTOS / f"{value}.png")
    service = Service(tmp_path / zoo.REPOSITORY)
    try:
        model = imported(done=True)
        rows = [zoo.answer(service, STURDY, tmp_path / saving.PHOTOS / f"{value}.png") for value in (3, 7)]
        expected = np.zeros((2, 260), np.float32)
        for row, right in zip(rows, expected, strict=True):
            right[[one["index"] for one in row]] = [one["probability"] for one in row]
        expected[1, rows[1][0]["index"]] = 0
        saving.save(tmp_path, folder.name, model.recipe, probabilities=expected, inputs=expected)
        seen = zoo.compare(tmp_path, service, model)
    finally:
        service.close()
    assert (seen.agree, seen.pictures) == (1, 2)
    assert seen.largest == pytest.approx(rows[1][0]["probability"])
    assert seen.served.startswith("value 3 ")
    assert " 1/2 |" in tables.markdown(zoo.table([model], {STURDY: seen}))
