"""What calibrates never judges: a photo's half is in its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging.split import (
    digest_of,
    fingerprint,
    in_part,
    in_use,
    part_of,
    part_of_digest,
    use_of_digest,
)
from topfive_pipeline.proof.photos import Photo


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_the_first_digit_of_the_digest_decides() -> None:
    assert part_of_digest("7f" + "f" * 62) == "calibrate"
    assert part_of_digest("80" + "0" * 62) == "judge"


def test_a_digest_is_that_of_sha256sum(tmp_path: Path) -> None:
    assert digest_of(written(tmp_path / "a", b"a photo")) == hashlib.sha256(b"a photo").hexdigest()


def test_the_same_content_is_in_the_same_half_under_every_name(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for number in range(40):
        content = f"photo {number}".encode()
        assert part_of(written(tmp_path / "a.jpg", content)) == part_of(written(tmp_path / "other/b.png", content))


def test_half_of_many_photos_are_for_each(tmp_path: Path) -> None:
    photos = [Photo(written(tmp_path / f"{number}.jpg", number.to_bytes(4, "big"))) for number in range(600)]
    calibrate, judge = in_part(photos, "calibrate"), in_part(photos, "judge")
    assert 240 < len(judge) < 360
    assert not {photo.name for photo in calibrate} & {photo.name for photo in judge}
    assert sorted([*calibrate, *judge], key=lambda photo: int(photo.path.stem)) == photos


def test_training_takes_its_share_of_the_half_that_calibrates_and_the_other_half_tests(tmp_path: Path) -> None:
    assert [use_of_digest(digit + "0" * 63) for digit in "056789af"] == ["train"] * 2 + ["dev"] * 2 + ["test"] * 4
    photos = [Photo(written(tmp_path / f"{number}.jpg", number.to_bytes(4, "big"))) for number in range(100)]
    assert in_use(photos, "test") == in_part(photos, "judge")
    learns = {photo.name for photo in (*in_use(photos, "train"), *in_use(photos, "dev"))}
    assert learns == {photo.name for photo in in_part(photos, "calibrate")}


def test_a_fingerprint_tells_content_and_labels_but_not_names(tmp_path: Path) -> None:
    one, other = written(tmp_path / "1.jpg", b"1"), written(tmp_path / "2.jpg", b"2")
    same = written(tmp_path / "3.jpg", b"1")
    first = fingerprint([Photo(one, 5), Photo(other, 6)])
    assert fingerprint([Photo(other, 6), Photo(same, 5)]) == first
    assert fingerprint([Photo(one, 6), Photo(other, 5)]) != first
    assert fingerprint([Photo(one, 5)]) != first
    assert fingerprint([Photo(one)]) != fingerprint([Photo(one, 0)])


def test_a_photo_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone.jpg: it cannot be read \(No such file"):
        part_of(tmp_path / "gone.jpg")
