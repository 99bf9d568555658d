"""Each check of a training finds what it is there for: it fails on what is wrong, and not on what is right."""

import math
from pathlib import Path

import numpy as np
import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # once it is known to be there
from torch import nn  # noqa: E402

from recipes.hygiene import by_heart, dimmer, four_parts, in_wrong_mode, loss_at_start, reading  # noqa: E402
from recipes.kit.data import Data, load  # noqa: E402
from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.range_test import range_test  # noqa: E402
from recipes.kit.training import logits_of  # noqa: E402

pytestmark = pytest.mark.untraced


@pytest.fixture(scope="module")
def data() -> Data:
    return load("digits")


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return plain(10, width=8)


def test_an_untrained_network_has_the_loss_log_k(network: nn.Sequential, data: Data) -> None:
    assert loss_at_start(network, data) == pytest.approx(math.log(10), rel=0.15)


def test_a_last_layer_that_begins_too_large_is_found(network: nn.Sequential, data: Data) -> None:
    network.head.weight.data *= 50
    with pytest.raises(ArithmeticError, match=r"log K is 2\.30"):
        loss_at_start(network, data)


def test_one_batch_is_learnt_by_heart(network: nn.Sequential, data: Data) -> None:
    assert by_heart(network, data) < 0.01


def test_a_network_that_gradients_do_not_reach_is_found(network: nn.Sequential, data: Data) -> None:
    for name, weight in network.named_parameters():
        weight.requires_grad_("head.bias" in name)
    with pytest.raises(ArithmeticError, match="on one batch"):
        by_heart(network, data, steps=10)


def test_the_range_test_finds_a_rate_between_too_small_and_too_large(
    network: nn.Sequential, data: Data, tmp_path: Path
) -> None:
    assert 1e-3 < range_test(network, data, tmp_path / "rates.png") < 2
    assert (tmp_path / "rates.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("errors", "largest"),
    [
        ({"train": 0.20, "train-dev": 0.22, "dev": 0.23}, "bias"),
        ({"train": 0.01, "train-dev": 0.10, "dev": 0.11}, "variance"),
        ({"train": 0.01, "train-dev": 0.02, "dev": 0.10}, "mismatch"),
    ],
)
def test_the_largest_of_bias_variance_and_mismatch_is_read(errors: dict[str, float], largest: str) -> None:
    assert reading(errors).endswith(f"{largest} is the largest")


def test_errors_are_those_of_the_four_parts(network: nn.Sequential, data: Data) -> None:
    errors = four_parts(network, data, data.train.first(100))
    right = logits_of(network, data.inputs(data.test)).argmax(1).numpy() == data.test.labels
    assert errors["test"] == pytest.approx(1 - right.mean())
    assert list(errors) == ["train", "train-dev", "dev", "test"]


def test_a_worse_camera_is_darker_and_noisier_and_keeps_the_labels(data: Data) -> None:
    worse = dimmer(data.dev, seed=1)
    assert worse.pixels.dtype == np.uint8
    assert worse.pixels.max() < data.dev.pixels.max()
    assert worse.labels is data.dev.labels
    assert np.array_equal(worse.pixels, dimmer(data.dev, seed=1).pixels)


def test_without_eval_an_answer_depends_on_its_neighbours(network: nn.Sequential, data: Data) -> None:
    """`logits_of` asks in the mode in which it is served, and leaves the network in the mode in which it was."""
    inputs = data.inputs(data.dev.first(32))
    network.train()
    together, alone = logits_of(network, inputs), torch.cat([logits_of(network, one) for one in inputs.split(1)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    assert network.training
    with torch.no_grad():
        assert not torch.allclose(network(inputs)[:8], network(inputs[:8]), atol=1e-2)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert in_wrong_mode(network, data) > 0.05
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
