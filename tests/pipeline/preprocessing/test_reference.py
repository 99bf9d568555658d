"""The reference is what frameworks do, as far as their formulas can be written out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing import reference
from topfive_pipeline.preprocessing.geometry import resized_size, windows
from topfive_pipeline.preprocessing.rules import Interpolation, Preprocessing
from topfive_pipeline.preprocessing.taps import TIE

METHODS: dict[Interpolation, Image.Resampling] = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "nearest": Image.Resampling.NEAREST,
}
SIDES = st.integers(1, 90)


def rules(**fields: Any) -> Preprocessing:
    """Rules that need not be whole for what is tested."""
    said: dict[str, Any] = {"resize": "none", "crop": (32, 48), "scale": 1.0, "mean": (0.0,), "std": (1.0,)}
    return Preprocessing(**said | fields)


def noise(height: int, width: int) -> Image.Image:
    levels = np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def torchvision(image: Image.Image, short: int, crop: int, method: Image.Resampling) -> Image.Image:
    """`Resize(short)` and `CenterCrop(crop)` of torchvision on a PIL image, `_compute_resized_output_size` included."""
    shorter, longer = sorted(image.size)
    long = int(short * longer / shorter)
    image = image.resize((short, long) if image.width <= image.height else (long, short), method)
    left, top, right, bottom = 0, 0, 0, 0
    if crop > image.width or crop > image.height:
        left, top = (max(0, (crop - length) // 2) for length in image.size)
        right, bottom = (max(0, (crop - length + 1) // 2) for length in image.size)
        image = ImageOps.expand(image, (left, top, right, bottom))
    top, left = round((image.height - crop) / 2.0), round((image.width - crop) / 2.0)
    return image.crop((left, top, left + crop, top + crop))


@settings(max_examples=80, derandomize=True)
@given(height=SIDES, width=SIDES, short=st.integers(1, 60), crop=st.integers(1, 60), bicubic=st.booleans())
def test_short_side_is_that_of_torchvision(height: int, width: int, short: int, crop: int, bicubic: bool) -> None:
    interpolation: Interpolation = "bicubic" if bicubic else "bilinear"
    said = rules(
        resize="short-side", short_side=short, crop=(crop, crop), crop_rounding="half-even", interpolation=interpolation
    )
    image = noise(height, width)
    assert (reference.pixels(image, said) == torchvision(image, short, crop, METHODS[interpolation])).all()


def test_floor_and_half_even_differ_by_a_pixel() -> None:
    """A margin of 117 pixels: its half is 58 rounded down, and 58 to even; of 119 they are 59 and 60."""
    sizes = {341: (58, 58), 343: (59, 60)}
    for width, starts in sizes.items():
        for rounding, start in zip(("floor", "half-even"), starts, strict=True):
            _, horizontal = windows((256, width), rules(crop=(224, 224), crop_rounding=rounding))
            assert (horizontal.start, horizontal.stop) == (start, start + 224)


@settings(max_examples=80, derandomize=True)
@given(height=st.integers(1, 300), width=SIDES, turned=st.booleans(), name=st.sampled_from(sorted(METHODS)))
def test_letterbox_is_pad_of_pillow(height: int, width: int, turned: bool, name: Interpolation) -> None:
    image = noise(width, height) if turned else noise(height, width)
    expected = ImageOps.pad(image, (48, 32), METHODS[name], color=(114, 114, 114))
    assert (reference.pixels(image, rules(resize="letterbox", fill=114, interpolation=name)) == expected).all()


@settings(max_examples=40, derandomize=True)
@given(height=SIDES, width=SIDES, name=st.sampled_from(sorted(METHODS)))
def test_squash_is_resize_of_pillow(height: int, width: int, name: Interpolation) -> None:
    image = noise(height, width)
    said = rules(resize="squash", resize_to=(32, 48), interpolation=name)
    assert (reference.pixels(image, said) == image.resize((48, 32), METHODS[name])).all()


def test_none_pads_the_smaller_half_at_the_left_and_at_the_top() -> None:
    seen = reference.pixels(np.full((29, 50, 3), 200, np.uint8), rules(fill=7))
    assert (seen[1:30] == 200).all()
    assert (seen[:1] == 7).all()
    assert (seen[30:] == 7).all()


def opencv(image: NDArray[np.uint8], height: int, width: int, *, cubic: bool) -> NDArray[np.float64]:
    """OpenCV's `resize`, INTER_LINEAR or INTER_CUBIC, pixel by pixel, without its rounding of weights."""

    def weight(x: float) -> float:
        a, x = -0.75, abs(x)
        if not cubic:
            return max(0.0, 1 - x)
        if x <= 1:
            return ((a + 2) * x - (a + 3)) * x * x + 1
        return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0

    def along(lines: NDArray[np.float64], full: int) -> NDArray[np.float64]:
        rows = []
        for place in range(full):
            centre = (place + 0.5) * len(lines) / full - 0.5
            around = range(math.floor(centre) - 1, math.floor(centre) + 3)
            rows.append(sum(lines[min(max(i, 0), len(lines) - 1)] * weight(centre - i) for i in around))
        return np.stack(rows)

    return along(along(image.astype(np.float64), height).swapaxes(0, 1), width).swapaxes(0, 1)


@settings(max_examples=30, derandomize=True)
@given(height=st.integers(1, 40), width=st.integers(1, 40), cubic=st.booleans())
def test_without_antialias_is_opencv(height: int, width: int, cubic: bool) -> None:
    """Every level is the nearest whole one; half-way between two, either."""
    image = np.asarray(noise(height, width))
    said = rules(
        resize="squash",
        resize_to=(20, 24),
        crop=(20, 24),
        antialias=False,
        interpolation="bicubic" if cubic else "bilinear",
    )
    exact = np.clip(opencv(image, 20, 24, cubic=cubic), 0, 255)
    assert np.abs(reference.pixels(image, said) - exact).max() <= 0.5 + TIE + 1e-9


@settings(max_examples=60, derandomize=True)
@given(height=SIDES, width=SIDES, short=st.integers(1, 90))
def test_nearest_of_images_too_large_for_pillow_is_pillow(height: int, width: int, short: int) -> None:
    image = noise(height, width)
    said = rules(resize="short-side", short_side=short, crop=(7, 9), interpolation="nearest", fill=3)
    expected = reference.pixels(image, said)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "_MOST_PIXELS", 0)
        assert (reference.pixels(image, said) == expected).all()


@pytest.mark.parametrize(("width", "height"), [(500, 1), (1, 500), (30, 200), (200, 30)])
def test_cropping_between_passes_changes_next_to_nothing(
    width: int, height: int, photos: dict[str, Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What images of extreme aspect ratios are compared with is plain Pillow, but for one level here and there."""
    image = photos["temple"].resize((width, height), Image.Resampling.BICUBIC)
    said = rules(resize="short-side", short_side=256, crop=(224, 224))
    whole = reference.pixels(image, said).astype(np.int16)
    monkeypatch.setattr(reference, "_MOST_PIXELS", 0)
    difference = np.abs(whole - reference.pixels(image, said))
    assert difference.max() <= 1
    assert (difference > 0).mean() <= 1e-4


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    """A photo is seen upright, and grey or palette images as RGB."""
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn right
    Image.new("L", (40, 20), 200).save(path, exif=exif)
    image = reference.decode(path)
    assert (image.mode, image.size) == ("RGB", (20, 40))


def test_grey_is_convert_l_of_pillow() -> None:
    image = noise(70, 90)
    grey = reference.network_input(np.asarray(image)[np.newaxis], rules(colour="grey"), layout="NHWC")
    assert (grey[0, ..., 0] == np.asarray(image.convert("L"))).all()


def test_bgr_turns_the_channels_and_statistics_are_in_the_networks_order() -> None:
    pixels = np.array([[[[10, 20, 30]]]], np.uint8)
    said = rules(colour="bgr", scale=0.5, mean=(1.0, 2.0, 3.0), std=(2.0, 4.0, 8.0))
    assert reference.network_input(pixels, said, layout="NHWC").tolist() == [[[[7.0, 2.0, 0.25]]]]


def test_layouts_are_the_same_numbers() -> None:
    pixels = np.asarray(noise(4, 5))[np.newaxis]
    said = rules(scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    last, first, flat = (reference.network_input(pixels, said, layout=layout) for layout in ("NHWC", "NCHW", "flat"))
    assert (last.shape, first.shape, flat.shape) == ((1, 4, 5, 3), (1, 3, 4, 5), (1, 60))
    assert {array.dtype for array in (last, first, flat)} == {np.dtype(np.float32)}
    assert (first.transpose(0, 2, 3, 1) == last).all()
    assert (flat.reshape(last.shape) == last).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"resize": "short-side"}, "short side None; say how long it is"),
        ({"resize": "short-side", "short_side": 0}, "short side 0; say how long it is"),
        ({"resize": "squash"}, "size None; say the height and width"),
        ({"resize": "squash", "resize_to": (0, 5)}, "each at least 1"),
    ],
)
def test_a_resize_without_its_size_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resized_size((10, 10), rules(**fields))
