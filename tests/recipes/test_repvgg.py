"""Three branches and the one convolution made of them give the same answers, random or trained."""

import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these are imported once it is known that torch is there
from torch import nn  # noqa: E402

from recipes.kit.data import load  # noqa: E402
from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.training import Schedule, accuracy, fit  # noqa: E402
from recipes.repvgg import Branches, behind, branched, identity, reparametrised  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402

pytestmark = pytest.mark.untraced


def upset(network: nn.Module, seed: int) -> nn.Module:
    """Give every normalisation statistics, scales and shifts far from 0 and 1; return `network` in eval mode."""
    chance = torch.Generator().manual_seed(seed)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.copy_(2 * torch.randn(norm.num_features, generator=chance))
            norm.running_var.copy_(torch.rand(norm.num_features, generator=chance) ** 4 * 5)  # many are tiny
            nn.init.normal_(norm.weight, 1, 2, generator=chance)
            nn.init.normal_(norm.bias, 0, 2, generator=chance)
    return network.eval()


def change(one: nn.Module, other: nn.Module, inputs: torch.Tensor) -> float:
    """The largest difference of answers, as a share of the largest answer."""
    with torch.inference_mode():
        expected, found = one(inputs), other(inputs)
    assert found.shape == expected.shape
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("groups", [1, 2, 8], ids=["dense", "groups", "depthwise"])
@pytest.mark.parametrize(("outputs", "stride"), [(8, 1), (8, 2), (16, 1), (16, 2)])
def test_merged_is_what_the_branches_are(outputs: int, stride: int, groups: int, seed: int) -> None:
    """With an identity and without, on even and odd sides."""
    torch.manual_seed(seed)
    block = Branches(8, outputs, stride=stride, groups=groups)
    assert (block.norm_same is not None) == (outputs == 8 and stride == 1)
    upset(block, seed)
    for side in (7, 8):
        assert change(block, block.merged(), torch.randn(4, 8, side, side)) <= 1e-5


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_the_identity_is_a_convolution(groups: int) -> None:
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(nn.functional.conv2d(x, identity(8, groups), padding=1, groups=groups), x)


@pytest.mark.parametrize("seed", range(4))
def test_a_whole_network_is_merged(seed: int) -> None:
    """Into the shape of `plain`, and without a trace of the branches; the given network stays as it was."""
    torch.manual_seed(seed)
    network = upset(branched(10, width=8), seed)
    kept = {name: weight.clone() for name, weight in network.state_dict().items()}
    one = reparametrised(network)
    assert change(network, one, torch.randn(8, 1, 12, 12)) <= 1e-5
    assert not any(isinstance(module, (Branches, nn.BatchNorm2d)) for module in one.modules())
    shapes = [tuple(module.weight.shape) for module in one.modules() if isinstance(module, nn.Conv2d)]
    assert shapes == [tuple(each.weight.shape) for each in plain(10, width=8).modules() if isinstance(each, nn.Conv2d)]
    assert all(torch.equal(kept[name], weight) for name, weight in network.state_dict().items())


def test_a_trained_network_is_merged() -> None:
    """It has learned something, so the statistics are those of data; and the merged one answers as it does."""
    data = load("digits")
    torch.manual_seed(0)
    network = branched(10, width=8)
    some = data.train.first(512)
    fit(network, data.inputs(some), torch.from_numpy(some.labels), Schedule(epochs=3, batch=32), lambda _: None)
    one = reparametrised(network)
    assert not one.training
    assert accuracy(network, data, data.test) > 0.6
    network.eval()
    assert change(network, one, data.inputs(data.test)) <= 1e-5


def test_a_block_alone_is_merged_too() -> None:
    block = upset(Branches(4, 4), 0)
    one = reparametrised(block)
    assert isinstance(one, nn.Sequential)
    assert change(block, one, torch.randn(2, 4, 6, 6)) <= 1e-5


def test_a_norm_without_statistics_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="without running statistics"):
        behind(nn.BatchNorm2d(4, track_running_stats=False), torch.randn(4, 4, 3, 3))
