"""The first who says a field wins, nothing that matters is assumed, and what does not fit together is refused."""

from __future__ import annotations

from typing import Any

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, Choices, Resolved, crop_known, resolve
from topfive_pipeline.preprocessing.files import read
from topfive_pipeline.preprocessing.flags import choices_said
from topfive_pipeline.preprocessing.presets import preset
from topfive_pipeline.preprocessing.rules import Preprocessing

TORCHVISION = Preprocessing(
    resize="short-side",
    short_side=256,
    interpolation="bilinear",
    crop=(224, 224),
    crop_rounding="half-even",
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def found(height: int, width: int) -> Choices:
    return {"crop": Choice((height, width), "found", "the network's input")}


def rules(resolved: Resolved) -> Preprocessing:
    assert resolved.missing == ()
    assert resolved.rules is not None
    return resolved.rules


def test_with_nothing_said_all_that_matters_is_missing() -> None:
    resolved = resolve([choices_said()], network=found(224, 224))
    assert resolved.rules is None
    assert [missing.field for missing in resolved.missing] == ["resize", "interpolation", "scale", "mean", "std"]
    assert all(missing.flag.startswith("--") and missing.hint for missing in resolved.missing)


def test_a_network_of_any_size_needs_a_crop() -> None:
    said = choices_said(resize="squash", interpolation="bilinear", scale="1", mean="0", std="1")
    assert [missing.field for missing in resolve([said], network={}).missing] == ["crop"]


def test_what_is_assumed_says_so() -> None:
    said = choices_said(resize="short-side:9", interpolation="bilinear", scale="1", mean="0", std="1")
    choices = resolve([said], network=found(8, 8)).choices
    assumed = {field: choice.value for field, choice in choices.items() if choice.origin == "assumed"}
    assert assumed == {"crop_rounding": "half-even", "antialias": True, "colour": "rgb"}


def test_flags_override_a_preset_and_the_rest_is_the_presets() -> None:
    resolved = resolve([choices_said(interpolation="bicubic"), preset("torchvision")], network={})
    assert rules(resolved).interpolation == "bicubic"
    assert (resolved.choices["interpolation"].origin, resolved.choices["scale"].where) == ("said", "preset torchvision")


def test_without_resizing_there_is_no_interpolation_to_be_said() -> None:
    said = choices_said(resize="none", scale="1", mean="0", std="1")
    assert rules(resolve([said], network=found(8, 8))).resize == "none"


def test_another_rule_of_resizing_does_not_inherit_the_presets_short_side() -> None:
    resolved = rules(resolve([choices_said(resize="squash"), preset("torchvision")], network={}))
    assert (resolved.short_side, resolved.resize_to) == (None, (224, 224))


@pytest.mark.parametrize(
    ("known", "hint"),
    [
        ({"mean": "0.485,0.456,0.406"}, "1/255, as 0.485 is one of levels from 0 to 1"),
        ({"mean": "103.939,116.779,123.68"}, "1, as 123.68 is one of levels from 0 to 255"),
        ({}, "1/255 for levels from 0 to 1, 1 for levels from 0 to 255"),
    ],
)
def test_the_mean_suggests_the_scale(known: dict[str, Any], hint: str) -> None:
    missing = {each.field: each.hint for each in resolve([choices_said(**known)], network={}).missing}
    assert missing["scale"] == hint


@pytest.mark.parametrize(("scale", "hint"), [("1/255", "0.485"), ("1", "123.675")])
def test_the_scale_suggests_the_mean(scale: str, hint: str) -> None:
    missing = {each.field: each.hint for each in resolve([choices_said(scale=scale)], network={}).missing}
    assert missing["mean"].startswith(hint)


@pytest.mark.parametrize(("scale", "suspicion"), [("1", "is the scale 1/255"), ("1/65025", None), ("1/255", None)])
def test_a_scale_that_does_not_go_with_the_mean_is_suspicious(scale: str, suspicion: str | None) -> None:
    warnings = resolve([choices_said(scale=scale), preset("torchvision")], network={}).warnings
    assert [suspicion in warning for warning in warnings if suspicion] == ([True] if suspicion else [])


def test_a_mean_in_levels_with_a_scale_of_1_255_is_suspicious() -> None:
    (warning,) = resolve([choices_said(scale="1/255"), preset("keras-caffe")], network={}).warnings
    assert "123.68" in warning
    assert "is the scale 1?" in warning


def test_a_short_side_below_the_crop_is_suspicious() -> None:
    (warning,) = resolve([choices_said(resize="short-side:200"), preset("torchvision")], network={}).warnings
    assert "border" in warning


def test_a_flags_crop_that_the_network_does_not_take_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"--crop says .* cropped to 224, but the network takes 299; leave --crop"
    ):
        resolve([choices_said(crop="224"), preset("timm")], network=found(299, 299))


def test_presets_grow_with_the_network_and_files_do_not() -> None:
    assert rules(resolve([preset("torchvision", crop=(299, 299))], network=found(299, 299))).short_side == 342
    with pytest.raises(
        ConfigurationError, match=r"to 224, but the network takes 299; say --crop 299 --resize short-side:342"
    ):
        resolve([read("torchvision:resnet18")], network=found(299, 299))


def test_a_files_short_side_below_another_crop_is_refused() -> None:
    with pytest.raises(
        ConfigurationError, match=r"resizes images to 256, less than the crop of 299; say --resize short-s"
    ):
        resolve([choices_said(crop="299"), read("torchvision:resnet18")], network={})
    said = choices_said(crop="299", resize="short-side:342")
    assert rules(resolve([said, read("torchvision:resnet18")], network=found(299, 299))).short_side == 342


def test_a_presets_mean_is_reversed_for_bgr_and_a_flags_is_not() -> None:
    resolved = resolve([choices_said(colour="bgr", std="1,2,3"), preset("torchvision")], network={})
    assert rules(resolved).mean == (0.406, 0.456, 0.485)
    assert rules(resolved).std == (1, 2, 3)
    assert resolved.choices["mean"].where == "preset torchvision, reversed to bgr"
    assert rules(resolve([choices_said(colour="rgb"), preset("keras-caffe")], network={})).mean[0] == 123.68


def test_one_channel_is_grey_and_takes_one_mean() -> None:
    resolved = resolve([preset("hf-vit")], network={}, channels=1)
    assert (rules(resolved).colour, rules(resolved).mean) == ("grey", (0.5,))
    assert resolved.choices["colour"].origin == "found"
    with pytest.raises(
        ConfigurationError, match=r"mean for each of three channels \(0.485, .* say --mean with one number"
    ):
        resolve([preset("torchvision")], network={}, channels=1)
    network = {"colour": Choice("grey", "found", "the network's input")}
    assert rules(resolve([preset("hf-vit")], network=network)).colour == "grey"


@pytest.mark.parametrize(
    ("colour", "channels", "message"),
    [
        ("bgr", 1, "--colour bgr: the network takes one channel"),
        ("grey", 3, "says grey, but the network takes three"),
        (None, 4, "takes 4 channels"),
    ],
)
def test_colours_that_the_network_does_not_take_are_refused(colour: str | None, channels: int, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resolve([choices_said(colour=colour), preset("hf-vit")], network={}, channels=channels)


def test_the_crop_is_known_by_flags_then_by_the_network() -> None:
    assert crop_known(choices_said(crop="7"), found(5, 6)) == (7, 7)
    assert crop_known(choices_said(), found(5, 6)) == (5, 6)
    assert crop_known(choices_said(), {}) is None


def test_torchvision() -> None:
    assert rules(resolve([preset("torchvision")], network=found(224, 224))) == TORCHVISION
