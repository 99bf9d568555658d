"""A mix is named and made of its parts, and what they would gain together is their product."""

from dataclasses import replace

import pytest

from tests.pipeline.conftest import needs_export

needs_export()

from recipes.kit.rows import Row  # noqa: E402  # these import torch, once it is known to be there
from recipes.mixed import MIXES, Mix, product  # noqa: E402

pytestmark = pytest.mark.untraced

ROW = Row(
    recipe="mixed", model="", top_1=(0.9, 0.8, 0.95), difference=(0, 0, 0), agreement=1, change=0, loss=(0, 0),
    size=2.0,    alone=(1, 1, 1), batch_8=(3.0, 3, 3), photos=100, difficulty="training", note="alone",
)  # fmt: skip


def test_a_mix_is_named_by_its_parts_in_the_order_in_which_they_are_done() -> None:
    assert Mix().name == "mixed_plain"
    assert Mix(keep=0.5, is_taught=True, is_int8=True).name == "mixed_pruned50_taught_int8"
    assert len({mix.name for mix in MIXES}) == len(MIXES)
    assert MIXES[0] == Mix()  # which all others are compared with


def test_every_part_of_a_mix_is_also_tried_alone_or_not_multiplied() -> None:
    alone = {mix.parts[0] for mix in MIXES if len(mix.parts) == 1}
    assert {"pruned50", "taught", "int8"} <= alone


def test_gains_multiply() -> None:
    alone = {"pruned50": ROW, "int8": replace(ROW, size=4.0, batch_8=(2.0, 2, 2))}
    assert product(ROW, Mix(keep=0.5, is_int8=True), alone) == "multiplied: size 8.0, batch 8 6.0"


@pytest.mark.parametrize("mix", [Mix(), Mix(is_int8=True), Mix(keep=0.25, is_int8=True)])
def test_of_one_part_or_an_unknown_one_nothing_is_multiplied(mix: Mix) -> None:
    assert product(ROW, mix, {"int8": ROW}) == "alone"
