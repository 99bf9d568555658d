"""HEIC: decoded where its extra is installed, and refused by its name where not."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import numpy as np
import pytest
from skimage import data

from tests.testkit.image_files import Pixels, encode, exif, rgb_profile
from topfive.ground.errors import TooLarge, UndecodableImage, UnsupportedMediaType
from topfive.images.decoding import decode
from topfive.images.files import heic
from topfive.images.files.limits import ImageLimits

LIMITS: Final = ImageLimits(max_pixels=1_000_000, max_dimension=2_000, max_images=8)
PHOTO: Final[Pixels] = data.astronaut()[:120, :160]
HEAD: Final = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
installed = pytest.mark.skipif(not heic.IS_SERVED, reason="needs the extra heic")


def test_without_the_extra_it_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heic, "IS_SERVED", False)
    with pytest.raises(UnsupportedMediaType, match=r"HEIC.*send JPEG.*topfive\[heic\]"):
        decode(HEAD, LIMITS)


def test_the_service_starts_without_the_extra() -> None:
    code = "import sys; sys.modules['pillow_heif'] = None; from topfive.images.files import heic; print(heic.IS_SERVED)"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert printed.strip() == "False"


@installed
@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda stored: stored),
        (2, lambda stored: stored[:, ::-1]),
        (3, lambda stored: stored[::-1, ::-1]),
        (5, lambda stored: stored.swapaxes(0, 1)),
        (6, lambda stored: np.rot90(stored, -1)),
        (8, np.rot90),
    ],
)
def test_it_is_decoded_and_turned_once(orientation: int, turn: object) -> None:
    assert callable(turn)
    image = decode(encode(PHOTO, "HEIF", quality=95, exif=exif(orientation)), LIMITS)[0]
    expected = turn(PHOTO)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 4


@installed
def test_its_profile_counts() -> None:
    plain, wide = (
        decode(encode(PHOTO, "HEIF", quality=95, **options), LIMITS)[0]
        for options in ({}, {"icc_profile": rgb_profile()})
    )
    assert np.abs(plain.astype(int) - wide).max() > 20


@installed
def test_cut_short_or_too_large_it_is_refused() -> None:
    body = encode(PHOTO, "HEIF", quality=95)
    for share in (0.02, 0.3, 0.7, 0.99):
        with pytest.raises(UndecodableImage):
            decode(body[: int(len(body) * share)], LIMITS)
    with pytest.raises(TooLarge):
        decode(body, ImageLimits(max_pixels=1000, max_dimension=2000, max_images=1))
