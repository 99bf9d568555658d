"""Photos come from folders as people have them; what is wrong with a folder is said, with the remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.proof.photos import Photo, odd_images, read_photos, shipped

LABELS = ("ant", "bee")
Make = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Make:
    """A function that makes a folder with pictures of the given names, and a labels.csv."""

    def made(*names: str, listing: str | None = None) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            Image.new("RGB", (4, 3)).save(tmp_path / name)
        if listing is not None:
            (tmp_path / "labels.csv").write_text(listing, encoding="utf-8")
        return tmp_path

    return made


def found(photos: list[Photo], folder: Path) -> list[tuple[str, int | None]]:
    return [(photo.path.relative_to(folder).as_posix(), photo.label) for photo in photos]


def test_those_that_are_shipped_are_pictures_of_several_shapes() -> None:
    images = [photo.image() for photo in shipped()]
    assert len(images) >= 6
    assert {image.mode for image in images} == {"RGB"}
    assert any(image.width < image.height for image in images)
    assert any(image.width > image.height for image in images)
    assert all(photo.label is None for photo in shipped())


def test_odd_images_begin_with_one_pixel_and_are_the_same_every_time() -> None:
    first, again = list(odd_images()), list(odd_images())
    assert first[0][1].shape == (1, 1, 3)
    assert {"1x1", "3x900", "900x3"} <= {name for name, _ in first}
    assert all((one[1] == other[1]).all() for one, other in zip(first, again, strict=True))


def test_a_folder_of_pictures_has_no_labels(folder: Make) -> None:
    path = folder("b.png", "a.JPG")
    (path / "notes.txt").touch()
    assert found(read_photos(path), path) == [("a.JPG", None), ("b.png", None)]


def test_a_folder_for_each_class(folder: Make) -> None:
    path = folder("ant/1.png", "bee/2.png", "bee/3.png")
    (path / ".hidden").mkdir()
    assert found(read_photos(path, labels=LABELS), path) == [("ant/1.png", 0), ("bee/2.png", 1), ("bee/3.png", 1)]


def test_a_folder_that_is_no_class_is_refused(folder: Make) -> None:
    with pytest.raises(ConfigurationError, match="not named like a class of the model: cow"):
        read_photos(folder("ant/1.png", "cow/2.png"), labels=LABELS)


@pytest.mark.parametrize(
    "listing",
    [
        "file,index\nb.png,1\na.png,0\n",
        "\ufefffile,label\nb.png,bee\na.png,ant\n",
        "who,label,file\nme,bee,b.png\nme,ant,a.png\n",
        "file,index,label\nb.png,1,whatever\na.png,,ant\n",
    ],
)
def test_labels_csv_names_files_and_classes(listing: str, folder: Make) -> None:
    path = folder("a.png", "b.png", listing=listing)
    assert found(read_photos(path, labels=LABELS), path) == [("b.png", 1), ("a.png", 0)]


@pytest.mark.parametrize(
    ("listing", "words"),
    [
        ("name,index\na.png,0\n", "must name the columns file, and index or label"),
        ("", "labels.csv: it is empty"),
        ("file,index\na.png,0\nb.png,2\n", r"labels.csv, line 3: index 2 is beyond the model's 2 classes"),
        ("file,label\na.png,cow\n", r"labels.csv, line 2: neither an index nor the label of a class .*'cow'"),
        ("file,index\na.png,-1\n", r"line 2: neither an index nor .*'-1'"),
        ("file,label\na.png\n", r"line 2: neither an index nor .*''"),
        ("file,index\n,1\n", r"line 2: it names no file"),
        ("file,index\n", "it holds no pictures"),
    ],
)
def test_a_listing_that_cannot_be_used_is_refused(listing: str, words: str, folder: Make) -> None:
    with pytest.raises(ConfigurationError, match=words):
        read_photos(folder("a.png", "b.png", listing=listing), labels=LABELS)


def test_a_listing_that_is_no_text_is_refused(folder: Make) -> None:
    path = folder("a.png")
    (path / "labels.csv").write_bytes(b"file,index\n\xff.png,0\n")
    with pytest.raises(ConfigurationError, match=r"labels.csv: it is not UTF-8"):
        read_photos(path)


@pytest.mark.parametrize("name", ["none", "file.txt"])
def test_what_is_no_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").touch()
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        read_photos(tmp_path / name)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "unicorn").mkdir()
    with pytest.raises(
        ConfigurationError, match=r"it holds no pictures \(.*\.jpg.* not named like a class .*: unicorn"
    ):
        read_photos(tmp_path)


def test_many_are_thinned_out_evenly(folder: Make) -> None:
    path = folder(*(f"{number:02}.png" for number in range(21)))
    assert [photo.name for photo in read_photos(path, most=5)] == ["00.png", "05.png", "10.png", "15.png", "20.png"]
    assert len(read_photos(path, most=21)) == 21


def test_a_picture_is_upright_and_rgb(tmp_path: Path) -> None:
    picture = np.zeros((2, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    Image.fromarray(picture).save(tmp_path / "grey.png", exif=exif)
    image = Photo(tmp_path / "grey.png").image()
    assert (image.mode, image.size) == ("RGB", (2, 3))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_picture_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"broken.png: it cannot be read as a picture \(.*\); remove it"):
        Photo(tmp_path / "broken.png").image()
