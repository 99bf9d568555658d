"""Taking dead channels out changes no answer and makes a smaller network; what cannot be followed is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # once it is known to be there
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from recipes.kit.channels import groups_of  # noqa: E402
from recipes.kit.networks import block, plain  # noqa: E402
from recipes.kit.publishing import to_onnx  # noqa: E402
from recipes.kit.training import Schedule, fit  # noqa: E402
from recipes.prune import at_random, by_gamma, by_l1, flops, from_scratch, pruned, sparse  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402

pytestmark = pytest.mark.untraced


class Residual(nn.Module):
    """Two residual blocks with and without a projection: additions tie what five layers write."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = block(1, width)
        self.inner, self.outer = block(width, 2 * width), nn.Sequential(block(2 * width, width, kernel=1)[:2])
        self.down, self.side = block(width, 3 * width, stride=2), block(width, 3 * width, stride=2, kernel=1)
        self.head = nn.Linear(3 * width, 5)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """FP32 [n, 1, h, w] -> [n, 5]."""
        values = self.stem(inputs)
        values = functional.relu(values + self.outer(self.inner(values)))
        values = self.down(values) + self.side(values)
        return self.head(torch.flatten(functional.adaptive_avg_pool2d(values, 1), 1))


def separable(width: int) -> nn.Module:
    """Depthwise and pointwise convolutions, max pooling, and a Flatten of 2 x 2 positions before two Linear layers."""
    return nn.Sequential(
        block(1, width),
        block(width, width, groups=width),
        block(width, 2 * width, kernel=1),
        nn.MaxPool2d(2),
        block(2 * width, 2 * width, groups=2 * width),
        block(2 * width, width, kernel=1),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(4 * width, 3 * width, bias=False),
        nn.BatchNorm1d(3 * width),
        nn.ReLU(),
        nn.Linear(3 * width, 5),
    )


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "plain": lambda width: plain(5, width=width),
    "residual": Residual,
    "separable": separable,
}
EXAMPLE = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def random_network(kind: str, width: int) -> nn.Module:
    """In eval mode, with statistics and an affine map of every normalisation that are not those it begins with."""
    torch.manual_seed(width)
    network = NETWORKS[kind](width).eval()
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            for values in (layer.weight.data, layer.running_var):
                values.uniform_(0.5, 1.5)
            for values in (layer.bias.data, layer.running_mean):
                values.normal_()
    return network


@pytest.mark.parametrize("width", [4, 7])
@pytest.mark.parametrize("kind", NETWORKS)
def test_taking_dead_channels_out_changes_no_answer(kind: str, width: int) -> None:
    network = random_network(kind, width)
    chance = torch.Generator().manual_seed(width)
    for group in groups_of(network, EXAMPLE):
        dead = torch.randperm(group.size, generator=chance)[: group.size // 2]
        for norm in group.norms:
            norm.weight.data[dead] = norm.bias.data[dead] = 0.0
    before = network(EXAMPLE)
    smaller = pruned(network, EXAMPLE, 0.5 + 0.5 / width, by_gamma, multiple=1)
    assert all(
        small.size < large.size
        for small, large in zip(groups_of(smaller, EXAMPLE), groups_of(network, EXAMPLE), strict=True)
    )
    torch.testing.assert_close(smaller(EXAMPLE), before, atol=1e-5, rtol=1e-5)
    assert before.std() > 0.01  # it answers something


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_network_is_really_smaller_and_the_argument_is_left_as_it_was(kind: str) -> None:
    network = random_network(kind, 8)
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    smaller = pruned(network, EXAMPLE, 0.5, multiple=1)
    assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())
    assert flops(smaller, EXAMPLE) < 0.5 * flops(network, EXAMPLE)
    assert sum(map(torch.numel, smaller.parameters())) < 0.5 * sum(map(torch.numel, network.parameters()))
    for layer in smaller.modules():  # what the layers say of themselves is what they hold: `from_scratch` builds on it
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.shape[:2] == (layer.out_channels, layer.in_channels // layer.groups)
        if isinstance(layer, nn.Linear):
            assert layer.weight.shape == (layer.out_features, layer.in_features)


def test_the_exported_graph_is_as_small_and_answers_alike(tmp_path: Path) -> None:
    smaller = pruned(random_network("residual", 8), EXAMPLE, 0.5, multiple=1)
    file = to_onnx(smaller, EXAMPLE, tmp_path / "smaller.onnx")
    shapes = {tuple(each.dims) for each in onnx.load(file).graph.initializer if len(each.dims) == 4}
    assert shapes == {(4, 1, 3, 3), (8, 4, 3, 3), (4, 8, 1, 1), (12, 4, 3, 3), (12, 4, 1, 1)}
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (answer,) = session.run(None, {"normalised": EXAMPLE.numpy()})
    np.testing.assert_allclose(answer, smaller(EXAMPLE).detach().numpy(), atol=1e-4)


def test_an_addition_ties_channels_and_the_input_and_the_answer_stay() -> None:
    groups = groups_of(Residual(4), EXAMPLE)
    assert [(group.size, len(group.writers), len(group.norms), len(group.readers)) for group in groups] == [
        (4, 2, 2, 3),  # the stem and what is added to it; read by `inner`, `down` and `side`
        (8, 1, 1, 1),
        (12, 2, 2, 1),  # `down` and `side`; read by the head
    ]


def test_channels_of_small_filters_go_and_those_of_large_ones_stay() -> None:
    network = plain(5, width=8)
    network.first.conv.weight.data[[0, 3, 4, 6]] *= 0.01
    smaller = pruned(network, EXAMPLE, 0.5, by_l1, multiple=1)
    assert torch.equal(smaller.first.conv.weight, network.first.conv.weight[[1, 2, 5, 7]][:, kept_of_stem(network)])


def kept_of_stem(network: nn.Module) -> torch.Tensor:
    """The half of the stem's channels with the larger norms, in their order."""
    return network.stem.conv.weight.abs().sum((1, 2, 3)).argsort(descending=True)[:4].sort().values


def test_widths_are_multiples_and_a_narrow_group_stays_whole() -> None:
    smaller = pruned(plain(5, width=24), EXAMPLE, 0.25)
    assert [each.conv.out_channels for each in smaller[:6]] == [8, 8, 16, 16, 24, 24]
    assert pruned(plain(5, width=6), EXAMPLE, 0.25).stem.conv.out_channels == 6


def test_every_saliency_is_one_number_for_each_channel() -> None:
    for group in groups_of(Residual(4), EXAMPLE):
        for saliency in (by_l1, by_gamma, at_random(0)):
            assert saliency(group).shape == (group.size,)


def test_zeros_stay_zero_while_the_others_train() -> None:
    network = plain(5, width=8)
    thinned = sparse(network, 0.9)
    was_zero = [layer.weight == 0 for layer in thinned.modules() if isinstance(layer, nn.Conv2d)]
    assert all(0.88 < zeros.float().mean() < 0.92 for zeros in was_zero)
    fit(thinned, EXAMPLE, torch.tensor([0, 1, 2]), Schedule(epochs=2), lambda _: None)
    trained = [layer for layer in thinned.modules() if isinstance(layer, nn.Conv2d)]
    assert all(torch.equal(layer.weight == 0, zeros) for layer, zeros in zip(trained, was_zero, strict=True))
    assert not (network.first.conv.weight == 0).any()


def test_a_network_from_scratch_has_the_shapes_and_no_weight_of_the_other() -> None:
    network = random_network("plain", 8)
    fresh = from_scratch(network)
    for (name, old), new in zip(network.state_dict().items(), fresh.state_dict().values(), strict=True):
        assert old.shape == new.shape
        assert "num_batches" in name or not torch.equal(old, new)


class Concatenates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Conv2d(8, 2, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        values = self.conv(inputs)
        return self.head(torch.cat([values, values], 1))


class Branches(nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs if inputs.sum() > 0 else -inputs


class Broadcasts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.four = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 4, 3)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.one(inputs) + self.four(inputs)


def twice() -> nn.Module:
    layer = nn.Conv2d(1, 1, 3)
    return nn.Sequential(layer, nn.ReLU(), layer)


@pytest.mark.parametrize(
    ("network", "named"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=2)), "1 is a grouped convolution"),
        (Concatenates(), "cat"),
        (Broadcasts(), "add"),
        (Branches(), "torch.fx can trace"),
        (twice(), "used twice"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Sigmoid()), "Sigmoid"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(6, 2)), r"Linear layers that take \[n, features\]"),
    ],
)
def test_what_cannot_be_followed_is_refused(network: nn.Module, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        pruned(network, EXAMPLE, 0.5)


@pytest.mark.parametrize("keep", [0.0, -0.5, 1.5])
def test_what_is_no_share_is_refused(keep: float) -> None:
    with pytest.raises(ConfigurationError, match="keep is the share"):
        pruned(plain(5, width=8), EXAMPLE, keep)


def test_gamma_needs_a_batch_normalisation() -> None:
    with pytest.raises(ConfigurationError, match="by_l1"):
        pruned(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3)), EXAMPLE, 0.5, by_gamma)
