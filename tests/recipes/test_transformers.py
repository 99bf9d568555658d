"""A transformer that is cut, quantised or given other mixers computes what the mathematics of each says."""

import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from tests.pipeline.conftest import needs_export

needs_export()

import onnxruntime as ort  # noqa: E402  # these import torch, once it is known to be there
import torch  # noqa: E402
from torch import nn  # noqa: E402

from recipes.kit.linear_int8 import calibrated, dynamic, layers_of  # noqa: E402
from recipes.kit.publishing import save, to_onnx  # noqa: E402
from recipes.kit.training import Schedule, fit  # noqa: E402
from recipes.kit.vit import Attention, Fourier, VisionTransformer, gelu  # noqa: E402
from recipes.transformers import factorised, low_rank, rank_of  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402

pytestmark = pytest.mark.untraced

DIM = 32


def _small(mixer: type[Attention] | type[Fourier] = Attention) -> VisionTransformer:
    torch.manual_seed(0)
    made = Attention(DIM, 4) if mixer is Attention else Fourier(16, DIM)
    network = VisionTransformer(8, 10, lambda _: made, dim=DIM, depth=1)
    network.eval()
    return network


@pytest.fixture(scope="module")
def inputs() -> torch.Tensor:
    return torch.randn(40, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, inputs: torch.Tensor) -> dict[str, Path]:
    """Three networks as graphs: exporting takes a second each, and all else is quick."""
    folder = tmp_path_factory.mktemp("onnx")
    networks = {"attention": _small(), "fourier": _small(Fourier), "factors": factorised(_small(), 0.5)}
    return {name: to_onnx(network, inputs[:2], folder / f"{name}.onnx") for name, network in networks.items()}


def _run(file: Path, inputs: torch.Tensor) -> NDArray[np.float32]:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return np.asarray(ort.InferenceSession(file, options).run(None, {"normalised": inputs.numpy()})[0])


@pytest.mark.parametrize(("tokens", "dim"), [(16, 32), (16, 192), (9, 15)])
def test_two_products_are_the_real_part_of_the_fourier_transform(tokens: int, dim: int) -> None:
    values = torch.randn(3, tokens, dim)
    wanted = torch.fft.fft2(values).real / (tokens * dim) ** 0.5
    assert torch.allclose(Fourier(tokens, dim)(values), wanted, atol=1e-5)


@pytest.mark.parametrize("heads", [1, 2, 8])
def test_attention_is_that_of_pytorch_and_has_as_many_weights_whatever_its_heads(heads: int) -> None:
    ours, theirs = Attention(DIM, heads), nn.MultiheadAttention(DIM, heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.all.weight)
        theirs.in_proj_bias.copy_(ours.all.bias)
        theirs.out_proj.weight.copy_(ours.out.weight)
        theirs.out_proj.bias.copy_(ours.out.bias)
    values = torch.randn(2, 16, DIM)
    assert torch.allclose(ours(values), theirs(values, values, values)[0], atol=1e-5)
    assert sum(each.numel() for each in ours.parameters()) == 4 * DIM * (DIM + 1)


def test_the_served_gelu_is_that_of_training_and_the_runtime_fuses_it(tmp_path: Path, files: dict[str, Path]) -> None:
    values = torch.linspace(-6, 6, 1000)
    assert torch.allclose(gelu(values), gelu(values, is_training=True), atol=1e-6)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(files["attention"], options)
    fused = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert fused.count("BiasGelu") == 1
    assert "Erf" not in fused


@pytest.mark.parametrize("rank", [1, 5, 16])
def test_the_two_factors_are_the_best_of_their_rank(rank: int) -> None:
    layer = nn.Linear(24, 40)
    first, second = low_rank(layer, rank)
    found = second.weight @ first.weight
    left_out = torch.linalg.svdvals(layer.weight)[rank:].square().sum()  # Eckart and Young
    assert torch.allclose((layer.weight - found).square().sum(), left_out, rtol=1e-4)
    values = torch.randn(3, 24)
    assert torch.allclose(second(first(values)), values @ found.T + layer.bias, atol=1e-5)


def test_full_rank_gives_the_same_answers() -> None:
    layer, values = nn.Linear(24, 40), torch.randn(7, 24)
    assert torch.allclose(low_rank(layer, 24)(values), layer(values), atol=1e-5)


@pytest.mark.parametrize("rank", [0, 25])
def test_a_rank_that_the_matrix_cannot_have_is_refused(rank: int) -> None:
    with pytest.raises(ConfigurationError, match=r"choose 1 to 24"):
        low_rank(nn.Linear(24, 40), rank)


@pytest.mark.parametrize("share", [0.75, 0.5, 0.25])
def test_two_factors_have_no_more_weights_than_the_share_says(share: int) -> None:
    layer = nn.Linear(192, 768)
    assert share - 0.06 < rank_of(layer, share) * (192 + 768) / (192 * 768) <= share


def test_a_factorised_transformer_is_a_smaller_graph_and_the_original_stays(
    files: dict[str, Path], inputs: torch.Tensor
) -> None:
    network = _small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    smaller = factorised(network, 0.5)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert np.allclose(_run(files["factors"], inputs), smaller(inputs).detach(), atol=1e-5)
    assert len(layers_of(onnx.load(files["factors"]))) == 2 * 4 + 1  # two factors for each layer of the block
    assert files["factors"].stat().st_size < files["attention"].stat().st_size


@pytest.mark.parametrize("mixer", [Attention, Fourier])
def test_eight_bits_answer_nearly_as_the_network_and_no_sum_of_two_products_leaves_sixteen_bits(
    tmp_path: Path, files: dict[str, Path], inputs: torch.Tensor, mixer: type[Attention] | type[Fourier]
) -> None:
    file = files[mixer.__name__.lower()]
    wanted = _small(mixer)(inputs).detach().numpy()
    assert np.allclose(_run(file, inputs), wanted, atol=1e-5)
    layers = len(layers_of(onnx.load(file)))
    for quantised, number in (
        (dynamic(file, tmp_path / "dynamic.onnx"), layers - 1),  # the head stays
        (calibrated(file, inputs.numpy(), tmp_path / "int8.onnx"), layers),
    ):
        stored = [onnx.numpy_helper.to_array(each) for each in onnx.load(quantised).graph.initializer]
        weights = [each for each in stored if each.dtype == np.int8 and each.ndim == 2]
        assert len(weights) == number
        assert 2 * 255 * max(int(np.abs(each.astype(int)).max()) for each in weights) < 2**15
        assert np.abs(_run(quantised, inputs) - wanted).max() < 0.1 * wanted.std()


def test_only_ranges_that_each_run_finds_let_neighbours_change_an_answer(
    tmp_path: Path, files: dict[str, Path], inputs: torch.Tensor
) -> None:
    neighbours = torch.cat([inputs[:1], 10 * inputs[1:]])
    found = dynamic(files["attention"], tmp_path / "dynamic.onnx")
    kept = calibrated(files["attention"], inputs.numpy(), tmp_path / "int8.onnx")
    assert np.abs(_run(found, neighbours)[0] - _run(found, inputs[:1])[0]).max() > 1e-3
    assert np.abs(_run(kept, neighbours)[0] - _run(kept, inputs[:1])[0]).max() < 1e-5


def test_a_graph_without_linear_layers_is_refused(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Relu", ["normalised"], ["logits"])
    values = [onnx.helper.make_tensor_value_info(name, 1, ["N", 4]) for name in ("normalised", "logits")]
    save(onnx.helper.make_model(onnx.helper.make_graph([node], "relu", values[:1], values[1:])), tmp_path / "relu.onnx")
    with pytest.raises(ConfigurationError, match="no Linear layer"):
        dynamic(tmp_path / "relu.onnx", tmp_path / "int8.onnx")


def test_it_learns_one_batch_by_heart(inputs: torch.Tensor) -> None:
    network, labels = _small(), torch.arange(40) % 10
    schedule = Schedule(epochs=100, rate=5e-3, optimiser="adamw", decay=0.0, batch=40)
    losses = fit(network, inputs, labels, schedule, lambda _: None)
    assert abs(losses[0] - math.log(10)) < 0.3  # it begins with chance
    assert losses[-1] < 0.05


def test_heads_and_patches_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="5 heads cannot share 32"):
        Attention(DIM, 5)
    with pytest.raises(ConfigurationError, match="do not fill 30 pixels"):
        VisionTransformer(30, 10, lambda dim: Attention(dim, 4))
