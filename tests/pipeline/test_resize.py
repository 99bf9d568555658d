"""The resize graph computes what Pillow computes."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline import reference
from pipeline.runtime import Graph, samples

pytestmark = pytest.mark.untraced

BICUBIC = Image.Resampling.BICUBIC

AWKWARD = [  # width x height
    *[(1, 1), (2, 3), (17, 16), (16, 17), (49, 98), (223, 225)],
    *[(224, 224), (255, 257), (257, 255), (256, 256), (256, 255), (257, 256), (512, 512)],
    *[(500, 375), (375, 500), (501, 376), (376, 501), (640, 481), (4000, 3000), (3001, 4000)],
    *[(500, 1), (1, 500), (3000, 190), (190, 3000), (300, 600), (300, 601), (300, 4801)],
]


def off(graph: Graph, image: Image.Image, *, expected: Image.Image) -> tuple[int, float]:
    """Return by how many grey levels the graph is off at most, and in what share of the values."""
    (pixels,) = graph(np.asarray(image)[np.newaxis])
    assert (str(pixels.dtype), pixels.shape) == ("uint8", (1, 224, 224, 3))
    difference = np.abs(pixels[0].astype(np.int16) - np.asarray(expected))
    return int(difference.max()), float((difference > 0).mean())


def by_passes(image: Image.Image) -> Image.Image:
    """Do what `reference.resize_and_crop` does, cropping after each pass: 1 x 5000 would take 1.3 GB otherwise."""
    height, (full_width, full_height) = image.height, reference.full_size(*image.size)
    left, top = (full_width - 224) // 2, (full_height - 224) // 2
    columns = image.resize((full_width, height), BICUBIC).crop((left, 0, left + 224, height))
    rows = (0, top * height / full_height, 224, (top + 224) * height / full_height)
    return columns.resize((224, 224), BICUBIC, box=rows)


@pytest.mark.parametrize("name", ["astronaut", "cat", "coffee", "temple", "flower"])
def test_photos(name: str, resize: Graph, photos: dict[str, Image.Image]) -> None:
    """A photo of its own size: at most one grey level off, in at most 0.1 % of the values."""
    levels, share = off(resize, photos[name], expected=reference.resize_and_crop(photos[name]))
    assert levels <= 1
    assert share <= 1e-3


@pytest.mark.parametrize(("width", "height"), AWKWARD, ids=str)
def test_awkward_sizes(width: int, height: int, resize: Graph, photos: dict[str, Image.Image]) -> None:
    """Tiny, odd, even, tall, wide and large images: the same bound against the whole image resized by plain Pillow."""
    image = photos["astronaut"].resize((width, height), BICUBIC)
    levels, share = off(resize, image, expected=reference.resize_and_crop(image))
    assert levels <= 1
    assert share <= 1e-3


@pytest.mark.parametrize(("width", "height"), [(5000, 1), (1, 5000), (20000, 3), (2, 9999)])
def test_extreme_aspect_ratios(width: int, height: int, resize: Graph, photos: dict[str, Image.Image]) -> None:
    """However long the image, the crop is that of the whole image resized."""
    image = photos["temple"].resize((width, height), BICUBIC)
    levels, share = off(resize, image, expected=by_passes(image))
    assert levels <= 1
    assert share <= 1e-3


@pytest.mark.parametrize(("width", "height"), [(500, 1), (1, 500), (30, 200), (200, 30)])
def test_cropping_between_passes_changes_nothing(width: int, height: int, photos: dict[str, Image.Image]) -> None:
    """What extreme ratios are compared with is plain Pillow (a box that starts inside a pixel is rounded, hence 1)."""
    image = photos["temple"].resize((width, height), BICUBIC)
    difference = np.abs(np.asarray(by_passes(image), np.int16) - np.asarray(reference.resize_and_crop(image)))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-4


@settings(max_examples=60, deadline=None, derandomize=True)
@given(width=st.integers(1, 700), height=st.integers(1, 700))
def test_any_size(width: int, height: int, resize: Graph, photos: dict[str, Image.Image]) -> None:
    """At any size at most two levels off, in at most 0.4 % of the values.

    Scales like 384 to 256 make many values fall right between two levels, where the last bit of a filter weight
    decides; and the second pass can make two levels of one.
    """
    image = photos["flower"].resize((width, height), BICUBIC)
    expected = reference.resize_and_crop if max(width, height) <= 16 * min(width, height) else by_passes
    levels, share = off(resize, image, expected=expected(image))
    assert levels <= 2
    assert share <= 4e-3


@settings(max_examples=25, deadline=None, derandomize=True)
@given(width=st.integers(1, 2000), height=st.integers(1, 2000))
def test_crop_is_not_shifted(width: int, height: int, resize: Graph) -> None:
    """Noise, which would show a crop shifted by a hundredth of a pixel: never more than two levels off."""
    noise = np.random.default_rng(width * 2000 + height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    expected = reference.resize_and_crop if max(width, height) <= 16 * min(width, height) else by_passes
    levels, share = off(resize, image, expected=expected(image))
    assert levels <= 2
    assert share <= 2e-2


def test_images_of_one_size_stack(resize: Graph) -> None:
    """Images resized together come out as they do one by one."""
    images = samples(3, 120, 333)
    (together,) = resize(images)
    for image, pixels in zip(images, together, strict=True):
        assert (resize(image[np.newaxis])[0][0] == pixels).all()


def test_reference_applies_exif_orientation(tmp_path: Path) -> None:
    """A photo is seen upright, and grey or palette images as RGB."""
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn right
    Image.new("L", (40, 20), 200).save(path, exif=exif)
    image = reference.decode(path)
    assert (image.mode, image.size) == ("RGB", (20, 40))
