"""Folding changes no answer, whatever the statistics; what cannot be folded soundly stays as it is."""

from collections import Counter
from pathlib import Path

import onnx
import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these are imported once it is known that torch is there
from onnxscript import optimizer  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils.fusion import fuse_conv_bn_eval  # noqa: E402
from torch.nn.utils.parametrizations import weight_norm  # noqa: E402

from recipes.fold import change, fold, folded, kinds, opened, with_constants  # noqa: E402
from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.publishing import to_onnx  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402

pytestmark = pytest.mark.untraced


def upset(network: nn.Module, seed: int, variance: float = 1.0) -> nn.Module:
    """Give every normalisation of `network` statistics, scales and shifts far from 0 and 1; return it, in eval mode."""
    chance = torch.Generator().manual_seed(seed)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            shape = norm.running_mean.shape
            norm.running_mean.copy_(3 * torch.randn(shape, generator=chance))
            norm.running_var.copy_(variance * (0.1 + 5 * torch.rand(shape, generator=chance)))
            if norm.affine:
                nn.init.normal_(norm.weight, 1, 2, generator=chance)
                nn.init.normal_(norm.bias, 0, 2, generator=chance)
    return network.eval()


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("variance", [1.0, 1e-3, 1e-12, 0.0])
def test_the_answers_of_a_folded_network_stay(seed: int, variance: float) -> None:
    """Within 1e-5 of their scale, also where the variance is far below epsilon; and nothing of BatchNorm is left."""
    torch.manual_seed(seed)
    network = upset(plain(10, width=8), seed, variance)
    ours = folded(network)
    assert norms(network) == 6, "the given network must not change"
    assert norms(ours) == 0
    assert change(network, ours, torch.randn(8, 1, 12, 12)) <= 1e-5


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("groups", [1, 2, 6], ids=["dense", "groups", "depthwise"])
@pytest.mark.parametrize("affine", [True, False])
def test_the_formula_is_that_of_torch(bias: bool, groups: int, affine: bool) -> None:
    """That is `torch.nn.utils.fusion`; where a normalisation is not affine, gamma is 1 and beta 0."""
    torch.manual_seed(groups)
    conv = nn.Conv2d(6, 12, 3, stride=2, padding=1, groups=groups, bias=bias)
    norm = nn.BatchNorm2d(12, affine=affine, eps=1e-3)
    pair = upset(nn.Sequential(conv, norm), groups)
    theirs = fuse_conv_bn_eval(conv, norm)
    for found, expected in zip(fold(conv, norm), (theirs.weight, theirs.bias), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert change(pair, folded(pair), torch.randn(4, 6, 9, 9)) <= 1e-5


class TwoReaders(nn.Module):
    """What the convolution says is normalised, and read as it is too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.conv(x)
        return found + self.norm(found)


class CalledTwice(TwoReaders):
    """The same convolution once with and once without the normalisation."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(self.norm(self.conv(x)))


@pytest.mark.parametrize(
    "network",
    [
        TwoReaders(),
        CalledTwice(),
        nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), nn.BatchNorm2d(3)),
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 3)),
        nn.Sequential(weight_norm(nn.Conv2d(3, 3, 3)), nn.BatchNorm2d(3)),
        nn.Sequential(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)),
    ],
    ids=["two readers", "called twice", "something between", "norm first", "weight of its own kind", "no statistics"],
)
def test_what_cannot_be_folded_stays(network: nn.Module) -> None:
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            upset(norm, 1)
    network.eval()
    ours = folded(network)
    assert norms(ours) == 1
    assert change(network, ours, torch.randn(4, 3, 8, 8)) == 0


def test_a_network_that_cannot_be_traced_is_refused() -> None:
    class Asks(TwoReaders):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.norm(self.conv(x)) if x.sum() > 0 else x

    with pytest.raises(ConfigurationError, match=r"Asks cannot be traced by torch\.fx"):
        folded(Asks())


def test_a_norm_without_statistics_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="without running statistics"):
        fold(nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3, track_running_stats=False))


def test_the_engine_folds_too_but_not_what_the_raw_export_hides(tmp_path: Path) -> None:
    """A bias that is computed hides the pair from ONNX Runtime; once constants are folded, it finds them all."""
    network = upset(nn.Sequential(plain(3, width=4).stem), 0)
    example = torch.randn(2, 1, 8, 8)
    raw = to_onnx(network, example, tmp_path / "raw.onnx", optimise=False)
    plain_nodes = with_constants(raw, tmp_path / "constants.onnx")
    found: list[Counter[str]] = []
    for file in (raw, plain_nodes):
        session = opened(file, tmp_path / "loaded.onnx")
        answers = torch.from_numpy(session.run(None, {"normalised": example.numpy()})[0])
        torch.testing.assert_close(answers, network(example).detach(), rtol=1e-5, atol=1e-5)
        found.append(kinds(tmp_path / "loaded.onnx"))
    assert kinds(plain_nodes)["BatchNormalization"] == 1
    assert [each["BatchNormalization"] for each in found] == [1, 0]
    exported = optimizer.optimize(onnx.load(raw))  # what PyTorch's exporter does by itself
    assert [node.op_type for node in exported.graph.node] == ["Conv", "Relu"]
