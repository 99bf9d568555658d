"""The flags say fields of a preprocessing, and every preprocessing has flags that say it."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.choices import Choice, resolve
from topfive_pipeline.preprocessing.flags import choices_said, command_line, parse_resize, parse_scale, parse_size
from topfive_pipeline.preprocessing.rules import Preprocessing, Size

SIDES = st.integers(min_value=1, max_value=8192)
SIZES = st.tuples(SIDES, SIDES)
NUMBERS = st.floats(min_value=-1e6, max_value=1e6)
POSITIVE = st.floats(min_value=1e-9, max_value=1e6)


@st.composite
def preprocessings(draw: st.DrawFn) -> Preprocessing:
    """Any rules, with the defaults of `Preprocessing` in the fields that make no difference under them."""

    def per_channel(numbers: st.SearchStrategy[float]) -> tuple[float, ...]:
        values = tuple(draw(st.lists(numbers, min_size=channels, max_size=channels)))
        return values if len(set(values)) > 1 else values[:1]

    fields: dict[str, Any] = {"resize": draw(st.sampled_from(["short-side", "squash", "letterbox", "none"]))}
    fields["crop"] = draw(SIZES)
    fields["colour"] = draw(st.sampled_from(["rgb", "bgr", "grey"]))
    channels = 1 if fields["colour"] == "grey" else 3
    match fields["resize"]:
        case "short-side":
            fields["short_side"] = draw(SIDES)
        case "squash":
            fields["resize_to"] = draw(st.just(fields["crop"]) | SIZES)
        case "letterbox":
            fields["fill"] = draw(st.integers(min_value=0, max_value=255))
    if fields["resize"] != "none":
        fields["interpolation"] = draw(st.sampled_from(["bicubic", "bilinear", "nearest"]))
        fields["antialias"] = draw(st.booleans()) or fields["interpolation"] == "nearest"
    if fields["resize"] != "letterbox" and fields.get("resize_to") != fields["crop"]:
        fields["crop_rounding"] = draw(st.sampled_from(["floor", "half-even"]))
    scale = draw(POSITIVE | st.sampled_from([1 / 255, 1 / 127.5, 1.0, 1 / 256]))
    return Preprocessing(**fields, scale=scale, mean=per_channel(NUMBERS), std=per_channel(POSITIVE))


def read_back(line: str) -> dict[str, Any]:
    """The arguments of `choices_said`, as a command line's parser would make them."""
    said: dict[str, Any] = {}
    words = iter(shlex.split(line))
    for word in words:
        flag, equals, value = word.removeprefix("--").partition("=")
        if flag == "no-antialias":
            said["antialias"] = False
        else:
            said[flag.replace("-", "_")] = value if equals else next(words)
    return said


@given(rules=preprocessings())
def test_the_flags_of_any_preprocessing_mean_it(rules: Preprocessing) -> None:
    said = choices_said(**read_back(command_line(rules)))
    resolved = resolve([said], network={}, channels=rules.channels)
    assert resolved.missing == ()
    assert resolved.rules == rules


@given(rules=preprocessings())
def test_a_crop_that_is_found_is_not_said(rules: Preprocessing) -> None:
    line = command_line(rules, network_crop=rules.crop)
    assert "--crop " not in line
    network = {"crop": Choice(rules.crop, "found", "the network's input")}
    assert resolve([choices_said(**read_back(line))], network=network, channels=rules.channels).rules == rules


def test_what_is_assumed_is_not_said() -> None:
    rules = Preprocessing(
        resize="short-side",
        short_side=256,
        crop=(224, 224),
        crop_rounding="half-even",
        scale=1 / 255,
        mean=(0.5,),
        std=(0.5,),
    )
    assert command_line(rules) == (
        "--resize short-side:256 --crop 224 --interpolation bicubic --scale 1/255 --mean 0.5 --std 0.5"
    )


def test_a_fill_that_no_flag_says_is_an_error() -> None:
    rules = Preprocessing(resize="none", fill=7, crop=(9, 9), scale=1.0, mean=(0.0,), std=(1.0,))
    with pytest.raises(ValueError, match="no flag says a fill of 7"):
        command_line(rules)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("short-side:256", {"resize": "short-side", "short_side": 256}),
        ("squash", {"resize": "squash"}),
        ("squash:256", {"resize": "squash", "resize_to": (256, 256)}),
        ("squash:48x192", {"resize": "squash", "resize_to": (48, 192)}),
        ("letterbox", {"resize": "letterbox"}),
        ("letterbox:114", {"resize": "letterbox", "fill": 114}),
        ("none", {"resize": "none"}),
    ],
)
def test_resize(text: str, fields: dict[str, Any]) -> None:
    assert parse_resize(text) == fields


@pytest.mark.parametrize(
    "text",
    [
        *("", "short-side", "short-side:", "short-side:0", "short-side:-1", "short-side:1e3", "short-side:999999"),
        *("none:1", "squash:", "squash:1x", "squash:1x2x3", "letterbox:256", "letterbox:-1", "letterbox:", "crop"),
        "short-side:\N{DEVANAGARI DIGIT TWO}",
    ],
)
def test_a_wrong_resize_is_refused_with_the_right_forms(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--resize .*; say .*(short-side|squash|224|letterbox)"):
        parse_resize(text)


@pytest.mark.parametrize(("text", "size"), [("224", (224, 224)), ("48x192", (48, 192)), ("48X192", (48, 192))])
def test_crop_is_height_x_width(text: str, size: Size) -> None:
    assert parse_size(text, "--crop") == size


@pytest.mark.parametrize(
    ("text", "scale"),
    [("1/255", 1 / 255), ("1/127.5", 1 / 127.5), ("1", 1.0), ("0.0039", 0.0039), (" 1 / 255", 1 / 255)],
)
def test_scale(text: str, scale: float) -> None:
    assert parse_scale(text) == scale


@pytest.mark.parametrize("text", ["", "0", "-1", "1/0", "nan", "inf", "1/2/3", "a", "1/inf"])
def test_a_wrong_scale_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no number above 0; say 1/255"):
        parse_scale(text)


@pytest.mark.parametrize(
    ("flag", "text", "message"),
    [
        ("mean", "", "is no list of numbers; say 0.485,0.456,0.406"),
        ("mean", "a,b,c", "is no list of numbers"),
        ("mean", "0,0,nan", "is no list of numbers"),
        ("mean", "1,2", "has 2 numbers"),
        ("std", "0,1,1", "divides by a number that is not above 0"),
        ("crop", "big", "--crop big: it has a side that is no whole number of pixels"),
        ("crop_rounding", "up", "--crop-rounding up: it is not known; say floor or half-even"),
        ("interpolation", "lanczos", "is not known; say bicubic, bilinear or nearest"),
        ("colour", "cmyk", "is not known; say rgb, bgr or grey"),
    ],
)
def test_a_wrong_text_is_refused_with_the_right_form(flag: str, text: str, message: str) -> None:
    said: dict[str, Any] = {flag: text}
    with pytest.raises(ConfigurationError, match=message):
        choices_said(**said)


def test_each_flag_is_named_as_the_one_who_said_it() -> None:
    said = choices_said(resize="letterbox:5", antialias=False, mean="[0.5, 0.5, 0.5]", colour="BGR")
    assert {field: (choice.value, choice.where) for field, choice in said.items()} == {
        "resize": ("letterbox", "--resize"),
        "fill": (5, "--resize"),
        "antialias": (False, "--no-antialias"),
        "mean": ((0.5, 0.5, 0.5), "--mean"),
        "colour": ("bgr", "--colour"),
    }
    assert {choice.origin for choice in said.values()} == {"said"}
