"""Images are sent as is said: files as they are, pixels in their own size, or in one."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from topfive.ground.errors import ConfigurationError
from topfive_loadgen.http1 import HEAD_END
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.under_load.images import checked, requests_of


@pytest.fixture
def photos(tmp_path: Path) -> list[Photo]:
    paths = [tmp_path / "one.png", tmp_path / "two.jpg"]
    for path in paths:
        Image.new("RGB", (30, 20), (7, 8, 9)).save(path)
    return [Photo(path) for path in paths]


def test_pixels_have_the_size_that_is_said_or_their_own(photos: list[Photo]) -> None:
    for kind, height, width in (("5x9", 5, 9), ("mixed", 20, 30)):
        head, _, body = requests_of(photos[:1], kind, model="m")[0].partition(HEAD_END)
        assert f"POST /v1/classify?model=m&height={height}&width={width} HTTP/1.1" in head.decode()
        assert body == bytes((7, 8, 9)) * (height * width)


def test_a_file_is_sent_as_it_is_and_what_is_no_jpeg_as_one(photos: list[Photo]) -> None:
    png, file = (request.partition(HEAD_END)[2] for request in requests_of(photos, "jpeg", model="m"))
    assert file == photos[1].path.read_bytes()
    assert png[:2] == b"\xff\xd8"


@pytest.mark.parametrize("kind", ["", "png", "0x5", "5", "5x", "5x-1", "224 x 224"])
def test_other_words_are_refused(kind: str) -> None:
    with pytest.raises(ConfigurationError, match="say jpeg for files"):
        checked(kind)
