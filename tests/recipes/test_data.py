"""A picture is in one part, whatever its neighbours are; a folder written for `topfive evaluate` is read back."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these are imported once it is known that torch is there

from recipes.kit import data as kit  # noqa: E402
from recipes.kit.data import Data, Pictures, load, write_folder  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402
from topfive_pipeline.proof.photos import read_photos  # noqa: E402

pytestmark = pytest.mark.untraced


@pytest.fixture(scope="module")
def digits() -> Data:
    return load("digits")


def counts(pictures: Pictures) -> Counter[tuple[str, int]]:
    """How often each picture, by its SHA-256, has each label."""
    digests = (hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in pictures.pixels)
    return Counter(zip(digests, pictures.labels.tolist(), strict=True))


def test_every_picture_is_in_exactly_one_part(digits: Data) -> None:
    parts = [counts(part) for part in (digits.train, digits.dev, digits.test)]
    seen = [{digest for digest, _ in part} for part in parts]
    assert not seen[0] & seen[1] | seen[0] & seen[2] | seen[1] & seen[2]
    pixels, labels, _, _ = kit._digits()
    assert sum(parts, Counter()) == counts(Pictures(pixels, labels))
    assert [round(8 * part.total() / len(labels)) for part in parts] == [3, 1, 4]


def test_the_order_and_the_neighbours_decide_nothing(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    """Turned round, and without every third: what is left is where it was."""
    pixels, labels, classes, source = kit._digits()
    left = np.flatnonzero(np.arange(len(labels)) % 3)[::-1]
    monkeypatch.setattr(kit, "_digits", lambda: (pixels[left], labels[left], classes, source))
    fewer = load("digits")
    assert sum(map(len, (fewer.train, fewer.dev, fewer.test))) == len(left)
    for part in ("train", "dev", "test"):
        assert counts(getattr(fewer, part)) <= counts(getattr(digits, part))


def test_the_fingerprint_is_that_of_pixels_and_labels(digits: Data) -> None:
    assert load("digits").fingerprint == digits.fingerprint
    pixels, labels = digits.train.pixels.copy(), digits.train.labels.copy()
    pixels[5, 3, 3] ^= 1
    labels[5] = (labels[5] + 1) % 10
    changed = (Pictures(pixels, digits.train.labels), Pictures(digits.train.pixels, labels), digits.train.first(500))
    assert len({digits.fingerprint, *(replace(digits, train=each).fingerprint for each in changed)}) == 4


def test_a_network_gets_normalised_pictures(digits: Data) -> None:
    inputs = digits.inputs(digits.train)
    assert (inputs.shape, inputs.dtype) == ((len(digits.train), 1, 8, 8), torch.float32)
    assert abs(inputs.mean().item()) < 1e-3
    assert abs(inputs.std().item() - 1) < 1e-3
    assert len(digits.quick().train) < len(digits.train)


def test_a_written_folder_is_read_with_its_labels_and_pixels(digits: Data, tmp_path: Path) -> None:
    """Also where another recipe left a folder of more and other pictures under the same names."""
    write_folder(digits.dev.first(9), digits.classes, tmp_path)
    photos = read_photos(write_folder(digits.test.first(6), digits.classes, tmp_path), labels=digits.classes)
    assert [photo.label for photo in photos] == digits.test.labels[:6].tolist()
    for photo, pixels in zip(photos, digits.test.pixels, strict=False):
        np.testing.assert_array_equal(np.asarray(photo.image()), np.repeat(pixels[:, :, None], 3, axis=2))


def test_pictures_that_are_not_installed_are_missed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kit, "_PACKAGE", tmp_path)
    with pytest.raises(ConfigurationError, match="make setup-train, or say --data digits"):
        load("clothes")
