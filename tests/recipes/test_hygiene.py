"""Each check finds the fault that it is for, and passes where there is none."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these are imported once it is known that torch is there
from torch import nn  # noqa: E402

from recipes.hygiene import by_heart, dimmed, dimmer, four_parts, in_wrong_mode, loss_at_start, reading  # noqa: E402
from recipes.kit.data import Data, Pictures, load  # noqa: E402
from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.range_test import range_test  # noqa: E402
from recipes.kit.training import Schedule, fit  # noqa: E402

pytestmark = pytest.mark.untraced


@pytest.fixture(scope="module")
def digits() -> Data:
    return load("digits").quick()


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def test_the_loss_at_the_start_is_that_of_guessing(digits: Data) -> None:
    network = plain(10, width=8)
    assert abs(loss_at_start(network, digits) - math.log(10)) < 0.15 * math.log(10)
    nn.init.normal_(network.head.weight, std=5)
    with pytest.raises(ArithmeticError, match=r"the untrained network has the loss \d+\.\d+; log K is 2\.30"):
        loss_at_start(network, digits)


def test_one_batch_is_learnt_by_heart(digits: Data) -> None:
    assert by_heart(plain(10, width=8), digits, steps=60) < 0.01


def test_a_network_that_gradients_do_not_reach_learns_nothing_by_heart(digits: Data) -> None:
    """Only biases of the last layer are trained, as if all else was detached."""
    network = plain(10, width=8)
    network.requires_grad_(requires_grad=False)
    network.head.bias.requires_grad_()
    with pytest.raises(ArithmeticError, match=r"after 20 steps on one batch its loss is .*, and not below 0\.01"):
        by_heart(network, digits, steps=20)


def test_the_rate_is_where_the_loss_falls_and_is_drawn(digits: Data, tmp_path: Path) -> None:
    """Neither so low that nothing moves, nor where the loss bursts."""
    rate = range_test(plain(10, width=8), digits, tmp_path / "rates.png")
    assert 1e-3 < rate < 2
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("errors", "largest"),
    [
        ({"train": 0.3, "train-dev": 0.35, "dev": 0.4, "test": 0.4}, "bias"),
        ({"train": 0.01, "train-dev": 0.2, "dev": 0.25, "test": 0.2}, "variance"),
        ({"train": 0.01, "train-dev": 0.02, "dev": 0.5, "test": 0.5}, "mismatch"),
    ],
)
def test_the_largest_gap_is_named(errors: dict[str, float], largest: str) -> None:
    assert reading(errors).endswith(f"; {largest} is the largest")


def test_the_gaps_are_points() -> None:
    assert reading({"train": 0.02, "train-dev": 0.05, "dev": 0.15, "test": 0.9}) == (
        "bias 2.0, variance 3.0, mismatch 10.0 points; mismatch is the largest"
    )


def test_errors_are_of_their_parts(digits: Data) -> None:
    """A part whose labels are all wrong has an error far above the others', and no other part has."""
    network = plain(10, width=8)
    labels = torch.from_numpy(digits.train.labels)
    fit(network, digits.inputs(digits.train), labels, Schedule(epochs=6, batch=32), lambda _: None)
    right = four_parts(network, digits, digits.dev)
    assert max(right.values()) < 0.35
    assert right["train-dev"] == right["dev"]
    wrong = Pictures(digits.dev.pixels, (digits.dev.labels + 1) % 10)
    assert four_parts(network, digits, wrong) == {**right, "train-dev": four_parts(network, digits, wrong)["train-dev"]}
    assert four_parts(network, digits, wrong)["train-dev"] > 0.6
    changed = four_parts(network, replace(digits, dev=wrong), digits.dev)
    assert changed["dev"] > 0.6
    assert {part: changed[part] for part in ("train", "train-dev", "test")} == {
        part: right[part] for part in ("train", "train-dev", "test")
    }


def test_forgetting_eval_changes_answers_and_is_seen(digits: Data) -> None:
    """Where statistics of eight samples answer instead of those of training; without normalisation nothing changes."""
    network = plain(10, width=8)
    labels = torch.from_numpy(digits.train.labels)
    fit(network, digits.inputs(digits.train), labels, Schedule(epochs=2, batch=32), lambda _: None)
    assert in_wrong_mode(network, digits) > 0.02
    assert in_wrong_mode(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), digits) == 0


def test_a_worse_camera_is_darker_and_noisy(digits: Data) -> None:
    worse = dimmer(digits.dev, seed=1)
    assert worse.pixels.dtype == np.uint8
    assert worse.labels is digits.dev.labels
    assert 0.4 < worse.pixels.mean() / digits.dev.pixels.mean() < 0.8
    np.testing.assert_array_equal(worse.pixels, dimmer(digits.dev, seed=1).pixels)
    assert not np.array_equal(worse.pixels, dimmer(digits.dev, seed=2).pixels)


def test_the_change_of_training_resembles_that_camera(digits: Data) -> None:
    inputs = digits.inputs(digits.train)
    found = dimmed(inputs, torch.Generator().manual_seed(0))
    assert found.shape == inputs.shape
    assert found.mean() < inputs.mean() - 0.1
    again = dimmed(inputs, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)
