"""Photos weigh as often as they, or their labels, are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest

from tests.pipeline.gating.sides import REFUSED, answered
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer, PhotoAnswers
from topfive_pipeline.gating.frequency import Weights, weights_of


@pytest.fixture
def answers(tmp_path: Path) -> PhotoAnswers:
    """Five photos, to which the live version says 1, 1, 40, 7, and refuses the last."""
    found = answered(tmp_path, [1] * 5, [1, 1, 40, 7, 0])
    return PhotoAnswers(found.photos, found.candidate, (*found.live[:4], REFUSED))


def weighed(tmp_path: Path, answers: PhotoAnswers, text: str, *, model: str | None = None) -> Weights:
    path = tmp_path / "frequency"
    path.write_text(text, encoding="utf-8")
    return weights_of(path, answers, model=model)


def test_a_photo_weighs_as_often_as_it_was_asked(tmp_path: Path, answers: PhotoAnswers) -> None:
    found = weighed(tmp_path, answers, "file,count\nphoto-0.png,30\nphoto-1.png,10\nphoto-0.png,10\ngone.png,50\n")
    assert found.values == pytest.approx((4.0, 1.0, 0.0, 0.0, 0.0))
    assert sum(found.values) == pytest.approx(5)
    assert found.effective == pytest.approx(25 / 17)
    assert found.notes == (
        "50 % of what was asked is of photos that are not among these.",
        "3 of 5 photos were not asked in production, and count for nothing.",
        "By their weights 5 photos tell as much as 1 that count alike.",
    )


def test_a_log_with_a_line_for_each_request_needs_no_counts(tmp_path: Path, answers: PhotoAnswers) -> None:
    found = weighed(tmp_path, answers, "file\n" + "photo-3.png\n" * 3 + "photo-4.png\n")
    assert found.values == pytest.approx((0, 0, 0, 3.75, 1.25))


def test_the_same_name_in_two_folders_needs_its_folder(tmp_path: Path) -> None:
    first, second = tmp_path / "cats", tmp_path / "dogs"
    first.mkdir()
    second.mkdir()
    one, other = answered(first, [1], [1]), answered(second, [1], [1])
    both = PhotoAnswers(one.photos + other.photos, one.candidate + other.candidate, one.live + other.live)
    assert weighed(tmp_path, both, "file,count\ncats/photo-0.png,3\ndogs/photo-0.png,1\n").values == (1.5, 0.5)
    with pytest.raises(ConfigurationError, match=r"photo-0\.png names several photos; write more of its path"):
        weighed(tmp_path, both, "file,count\nphoto-0.png,3\n")


def test_photos_share_what_their_label_weighs(tmp_path: Path, answers: PhotoAnswers) -> None:
    """Those that the live version labels alike, for its labels are what production counts."""
    found = weighed(tmp_path, answers, "label,count\nlabel 1,20\nlabel 40,10\nlabel 7,10\nlabel 8,40\n")
    assert found.values == pytest.approx((1, 1, 1, 1, 1))
    assert found.notes == (
        "50 % of what was asked has a label that the live version gives none of these photos.",
        "1 photos that the live version refuses have no label, and are of average weight.",
    )


def test_the_page_of_metrics_of_a_live_service(tmp_path: Path, answers: PhotoAnswers) -> None:
    """Its counter has names for some labels, groups of 32 classes for others, and a name for no label at all."""
    nothing = PhotoAnswers(answers.photos, answers.candidate, (*answers.live[:4], Answer(200)))
    registry = CollectorRegistry()
    counter = Counter("topfive_labels", "Images answered.", ("model", "label"), registry=registry)
    for label, count in {"label 1": 4, "classes 32-63": 8, "(other)": 2, "(none)": 6}.items():
        counter.labels("pets", label).inc(count)
    text = generate_latest(registry).decode()
    assert "topfive_labels_created" in text
    assert weighed(tmp_path, nothing, text).values == pytest.approx((0.5, 0.5, 2, 0.5, 1.5))
    counter.labels("flowers", "rose").inc(3)
    text = generate_latest(registry).decode()
    assert weighed(tmp_path, nothing, text, model="pets").values == pytest.approx((0.5, 0.5, 2, 0.5, 1.5))
    with pytest.raises(ConfigurationError, match="it counts labels of flowers, pets, and not of one model"):
        weighed(tmp_path, nothing, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,count\na,1\n", "its first line must name the columns file and count, or label and count"),
        ("file,label\na,1\n", "its first line must name the columns file and count, or label and count"),
        ("file,count\nphoto-0.png,many\n", r"line 2: 'many' is no count; say a number that is not negative"),
        ("file,count\nphoto-0.png,-1\n", r"line 2: '-1' is no count"),
        ("file,count\nphoto-0.png,nan\n", r"line 2: 'nan' is no count"),
        ("file,count\nphoto-0.png\n", r"line 2: None is no count"),
        ("file,count\n,1\n", "line 2: it names no file"),
        ("file,count\nphoto-0.png,0\n", "it counts nothing; the counts must be above zero"),
        ("file,count\nelsewhere.png,5\n", "it names no photo, so nothing could be weighed by it"),
        ('file,count\n"a' + "b" * 200_000 + '",1\n', "it cannot be read as CSV"),
        ("# HELP x y\n# TYPE x counter\nx_total 1\n", "it has no counter topfive_labels_total"),
        ("# HELP x y\nx{ 1\n", "it is no page of metrics of topfive"),
        ('# TYPE topfive_labels counter\ntopfive_labels_total{label="a"} 1\n', "it is no page of metrics of topfive"),
    ],
)
def test_what_cannot_be_used_is_refused(tmp_path: Path, answers: PhotoAnswers, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        weighed(tmp_path, answers, text)
