"""What had a part in making a model never judges it: a graph says which photos those are."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from tests.pipeline.importing import edit
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import leakage
from topfive_pipeline.judging.judge import Asked, judge
from topfive_pipeline.judging.leakage import leaks, must_not_leak, properties, properties_of_network, unknown
from topfive_pipeline.judging.subjects import Subject, find
from topfive_pipeline.proof.photos import Photo, read_photos


@pytest.fixture
def photos(judged_folder: Path) -> list[Photo]:
    return read_photos(judged_folder / "photos")


@pytest.fixture
def subject(judged_folder: Path, tmp_path: Path) -> Subject:
    """A copy of pets:1, whose graph tests may change."""
    (found,) = find(["pets:1"], Path(shutil.copytree(judged_folder / "repository", tmp_path / "repository")))
    return found


def stamp(subject: Subject, said: dict[str, str]) -> None:
    edit(subject.classify.path, lambda model: onnx.helper.set_model_props(model, said))


def test_a_model_that_says_nothing_of_photos_may_be_judged_by_all(subject: Subject, photos: list[Photo]) -> None:
    must_not_leak([subject], photos)
    assert list(unknown([subject])) == []


def test_photos_that_calibrated_or_chose_are_refused_by_name(subject: Subject, photos: list[Photo]) -> None:
    stamp(subject, properties({"calibrate": photos[:5], "choose": photos[5:7]}))
    must_not_leak([subject], photos[7:])
    names = [photo.name for photo in photos]
    with pytest.raises(ConfigurationError) as refused:
        must_not_leak([subject], photos[3:])
    assert str(refused.value).startswith(
        f"of {len(photos) - 3} photos that are to judge, 2 that calibrated pets:1 ({names[3]}, {names[4]}), and 2 that "
        f"chose pets:1 ({names[5]}, {names[6]}): "
    )
    assert "--part judge" in str(refused.value)


def test_a_copy_under_another_name_is_the_same_photo(subject: Subject, photos: list[Photo], tmp_path: Path) -> None:
    stamp(subject, properties({"train": photos[:1]}))
    copy = Photo(Path(shutil.copyfile(photos[0].path, tmp_path / "other.jpg")))
    (leak,) = leaks({"pets:1": subject.classify.path}, [copy])
    assert leak.said() == "1 that trained pets:1 (other.jpg)"


def test_of_many_photos_a_few_are_named() -> None:
    leak = leakage.Leak("pets:2", "calibrate", tuple(Photo(Path(f"{number}.jpg")) for number in range(4)))
    assert leak.said() == "4 that calibrated pets:2 (0.jpg, 1.jpg, 2.jpg, …)"


def test_128_photos_take_two_kilobytes_of_a_graph(tmp_path: Path) -> None:
    photos = [Photo(tmp_path / str(number)) for number in range(128)]
    for photo in photos:
        photo.path.write_text(photo.name)
    (listed,) = properties({"calibrate": [*photos, *photos]}).values()
    assert len(listed) == 128 * 17 - 1


def test_a_graph_that_does_not_list_what_calibrated_it_is_warned_of(subject: Subject) -> None:
    stamp(subject, {"int8.calibration.sha256": "f" * 64})
    (warning,) = unknown([subject])
    assert warning.startswith("pets:1 does not say which photos calibrated it")


def test_a_network_passes_on_what_trained_it_and_nothing_else(photos: list[Photo]) -> None:
    network = onnx.helper.make_model(onnx.helper.make_graph([], "network", [], []))
    said = properties({"train": photos[:2]})
    onnx.helper.set_model_props(network, said | {"framework": "none"})
    assert properties_of_network(network) == said


def test_evaluate_judges_no_model_by_what_calibrated_it(subject: Subject, asked: Asked, photos: list[Photo]) -> None:
    stamp(subject, properties({"calibrate": photos[:1]}))
    mine = replace(asked, models=["pets:1"], repository=subject.classify.path.parents[2])
    with pytest.raises(ConfigurationError, match="1 that calibrated pets:1"):
        judge(mine, lambda _: None)
