"""The two mixes are what they say: photos as they come, and every awkward kind of image, each with a sure label."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from loadtests import corpus, encoding
from loadtests.corpus import Photo
from loadtests.oracle import Oracle
from loadtests.queries import SCENARIOS, Query
from loadtests.run_plan import MODEL, REPOSITORY
from tests.testkit.tiny_models import write_tiny_repository
from topfive_loadgen.photos import NoPhotos

TWELVE_MEGAPIXELS = 12_000_000


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """A quarter of the photos of a run: what they take is cutting, encoding and the oracle."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "PHOTOS", 12)
        yield


@pytest.fixture(scope="module")
def photos() -> list[Photo]:
    return corpus.photos(None, seed=1)


@pytest.fixture(scope="module")
def oracle() -> Oracle:
    return Oracle(REPOSITORY, MODEL)


@pytest.fixture(scope="module")
def worst(photos: Sequence[Photo], oracle: Oracle) -> list[Query]:
    return [*corpus.build(photos, oracle, mixes=["complex"], scenarios=SCENARIOS)]


def files(queries: Sequence[Query]) -> dict[str, Image.Image]:
    return {query.kind: Image.open(io.BytesIO(query.body)) for query in queries if query.scenario == "jpeg"}


def shapes(queries: Sequence[Query], scenario: str) -> dict[str, tuple[int, int]]:
    """Height and width, by the request itself."""
    found = {}
    for query in queries:
        if query.scenario == "raw" == scenario:
            asked = parse_qs(urlsplit(query.path).query)
            found[query.kind] = (int(asked["height"][0]), int(asked["width"][0]))
        elif query.scenario == "oip" == scenario:
            head = json.loads(query.body[: int(query.headers["Inference-Header-Content-Length"])])
            found[query.kind] = tuple(head["inputs"][0]["shape"][1:3])
    return found


def test_the_files_are_of_all_the_kinds_that_give_trouble(worst: Sequence[Query]) -> None:
    found = files(worst)
    assert found["12 MP JPEG"].width * found["12 MP JPEG"].height == TWELVE_MEGAPIXELS
    assert found["panorama JPEG"].width == 20 * found["panorama JPEG"].height
    assert found["progressive JPEG"].info["progressive"]
    assert found["CMYK JPEG"].mode == "CMYK"
    assert found["EXIF-rotated JPEG"].getexif()[0x0112] == 6
    assert found["16-bit PNG"].mode == "I;16"
    assert found["palette PNG"].mode == "P"
    assert max(found["tiny JPEG"].size) < 10


@pytest.mark.parametrize("scenario", ["raw", "oip"])
def test_the_pixels_are_of_all_the_sizes_that_give_trouble(worst: Sequence[Query], scenario: str) -> None:
    found = shapes(worst, scenario)
    assert found["12 MP raw"] == (3000, 4000)
    assert found["panorama raw"] == (400, 8000)
    assert found["tower raw"] == (8000, 400)
    assert max(found["tiny raw"]) < 10


def test_what_a_grpc_server_would_refuse_is_not_sent_to_one(worst: Sequence[Query]) -> None:
    kinds = {query.kind for query in worst if query.scenario == "grpc"}
    assert kinds == {"panorama raw", "tower raw", "tiny raw"}


def test_of_each_query_the_model_is_sure(worst: Sequence[Query], oracle: Oracle) -> None:
    for query in worst:
        if query.scenario == "jpeg":
            top = oracle.top(encoding.decode(query.body))
            assert top.label == query.expected
            assert top.margin >= corpus.MARGIN


def test_photos_that_could_be_two_things_are_left_out(photos: Sequence[Photo], oracle: Oracle) -> None:
    sure = [photo for photo in photos if oracle.top(photo.pixels).margin >= corpus.MARGIN]
    found = [*corpus.build(photos, oracle, mixes=["random"], scenarios=["jpeg", "raw"])]
    assert [query.body for query in found if query.scenario == "jpeg"] == [photo.file for photo in sure]
    assert [query.body for query in found if query.scenario == "raw"] == [photo.pixels.tobytes() for photo in sure]


def test_photos_of_nothing_are_refused(oracle: Oracle) -> None:
    chance = np.random.default_rng(3)
    noise = (chance.integers(0, 256, (64, 64, 3), np.uint8) for _ in range(200))
    unsure = next(pixels for pixels in noise if oracle.top(pixels).margin < corpus.MARGIN)
    with pytest.raises(NoPhotos, match="sure of none"):
        [*corpus.build([Photo(b"", unsure)], oracle, mixes=["random"], scenarios=["raw"])]


def test_a_model_of_one_size_is_sent_that_size_in_every_kind(tmp_path: Path) -> None:
    oracle = Oracle(write_tiny_repository(tmp_path), "classify")
    photos = corpus.photos(None, seed=1, size=oracle.size)
    found = [*corpus.build(photos, oracle, mixes=["random", "complex"], scenarios=["raw", "jpeg"])]
    assert {"photo", "raw", "CMYK JPEG", "EXIF-rotated JPEG", "16-bit PNG"} < {query.kind for query in found}
    assert {len(query.body) for query in found if query.scenario == "raw"} == {2 * 2 * 3}
    files = [encoding.decode(query.body) for query in found if query.scenario == "jpeg"]
    assert {pixels.shape for pixels in files} == {(2, 2, 3)}


def test_the_same_seed_takes_the_same_photos_and_another_others(photos: Sequence[Photo]) -> None:
    assert [photo.file for photo in corpus.photos(None, seed=1)] == [photo.file for photo in photos]
    assert [photo.file for photo in corpus.photos(None, seed=2)] != [photo.file for photo in photos]


def test_a_folder_is_sampled_and_one_without_photos_refused(tmp_path: Path, photos: Sequence[Photo]) -> None:
    with pytest.raises(NoPhotos, match=r"no \.jpg file"):
        corpus.photos(tmp_path, seed=1)
    for number in range(corpus.PHOTOS + 5):
        (tmp_path / f"{number:03}.JPG").write_bytes(photos[0].file)
    assert len(corpus.photos(tmp_path, seed=1)) == corpus.PHOTOS


def test_sixteen_bits_are_read_by_their_high_byte() -> None:
    """Pillow itself would clip them to white."""
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 0x7F00, 0xFFFF]], np.uint16)).save(file, "png")
    assert encoding.decode(file.getvalue())[0, :, 0].tolist() == [0, 0x7F, 0xFF]
