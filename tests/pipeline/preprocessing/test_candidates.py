"""The candidates are the customary preprocessings, each once, and each can be said by flags."""

from __future__ import annotations

import pytest

from topfive_pipeline.preprocessing.candidates import candidates
from topfive_pipeline.preprocessing.flags import command_line
from topfive_pipeline.preprocessing.presets import preset
from topfive_pipeline.preprocessing.rules import Size


@pytest.mark.parametrize(
    ("crop", "channels", "at_least"), [((224, 224), 3, 15), ((48, 192), 3, 8), ((28, 28), 1, 10), ((8, 16), 1, 8)]
)
def test_they_differ_in_name_rules_and_flags(crop: Size, channels: int, at_least: int) -> None:
    found = candidates(crop=crop, channels=channels)
    assert len(found) >= at_least
    assert len({name for name, _ in found}) == len({rules for _, rules in found}) == len(found)
    assert len({command_line(rules, network_crop=crop) for _, rules in found}) == len(found)
    assert all(rules.crop == crop and rules.channels == channels for _, rules in found)


def test_the_presets_are_among_them_for_the_size_of_the_network() -> None:
    by_name = dict(candidates(crop=(299, 299)))
    assert by_name["torchvision"].short_side == preset("torchvision", crop=(299, 299))["short_side"].value == 342
    assert by_name["keras-caffe"].colour == "bgr"


def test_the_mean_of_a_bgr_one_is_in_its_order() -> None:
    by_name = dict(candidates(crop=(224, 224)))
    assert by_name["torchvision, BGR"].mean == by_name["torchvision"].mean[::-1]
