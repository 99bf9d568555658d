"""Each preset says a whole preprocessing, that of its framework."""

from __future__ import annotations

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, resolve
from topfive_pipeline.preprocessing.presets import PRESETS, preset
from topfive_pipeline.preprocessing.rules import Preprocessing, Size


def rules(name: str, crop: Size | None = None) -> Preprocessing:
    network = {} if crop is None else {"crop": Choice(crop, "found", "the network's input")}
    found = resolve([preset(name, crop=crop)], network=network).rules
    assert found is not None
    return found


@pytest.mark.parametrize("name", PRESETS)
def test_nothing_is_left_to_be_said_or_assumed(name: str) -> None:
    resolved = resolve([preset(name)], network={})
    assert resolved.missing == ()
    assert resolved.warnings == ()
    assert {choice.origin for choice in resolved.choices.values()} == {"read"}
    assert rules(name).crop == (224, 224)


@pytest.mark.parametrize(
    ("name", "size", "short_side"),
    [
        ("torchvision", 299, 342),  # as torchvision's own Inception has it
        ("torchvision-v2", 224, 232),
        ("torchvision-v2", 384, 398),
        ("timm", 224, 256),
        ("timm", 299, 341),  # floor(299 / 0.875)
        ("timm", 240, 274),
    ],
)
def test_the_short_side_grows_as_in_the_framework(name: str, size: int, short_side: int) -> None:
    assert rules(name, (size, size)).short_side == short_side


@pytest.mark.parametrize("name", ["torchvision", "torchvision-v2", "timm"])
def test_there_is_no_short_side_for_an_input_that_is_not_square(name: str) -> None:
    network = {"crop": Choice((48, 192), "found", "the network's input")}
    assert [missing.field for missing in resolve([preset(name, crop=(48, 192))], network=network).missing] == ["resize"]


def test_squashed_ones_take_any_input() -> None:
    assert rules("hf-vit", (48, 192)).resize_to == (48, 192)


@pytest.mark.parametrize(
    ("name", "normalised"),
    # the network's input for the RGB pixel (255, 0, 51), by the framework's formula
    [
        ("keras-tf", (1.0, -1.0, 51 / 127.5 - 1)),
        ("keras-caffe", (51 - 103.939, 0 - 116.779, 255 - 123.68)),
        ("keras-torch", ((1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225)),
        ("keras-raw", (255.0, 0.0, 51.0)),
        ("hf-vit", (1.0, -1.0, (0.2 - 0.5) / 0.5)),
        ("timm", ((1 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0.2 - 0.406) / 0.225)),
    ],
)
def test_pixels_are_normalised_as_in_the_framework(name: str, normalised: tuple[float, ...]) -> None:
    given = rules(name)
    pixel = (51, 0, 255) if given.colour == "bgr" else (255, 0, 51)
    mean, std = (values * (3 // len(values)) for values in (given.mean, given.std))
    made = [(level * given.scale - m) / s for level, m, s in zip(pixel, mean, std, strict=True)]
    assert made == pytest.approx(normalised)


def test_an_unknown_one_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"--preset tf: it is not known; say torchvision, .* or keras-raw"):
        preset("tf")
