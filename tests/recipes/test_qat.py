"""Fake quantisation has the values that integers have, learns through them, and the QDQ graph gives its answers."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # once it is known to be there
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from recipes.kit.fake_quantise import Activation, rounded, step_of  # noqa: E402
from recipes.kit.onnx_network import OnnxNetwork  # noqa: E402
from recipes.kit.publishing import to_onnx  # noqa: E402
from recipes.kit.qdq import to_qdq  # noqa: E402
from recipes.kit.quantise import TOP, post_training  # noqa: E402
from recipes.kit.training import Schedule, fit, logits_of  # noqa: E402
from recipes.qat import ARMS, Arm, aware, separable  # noqa: E402
from topfive.ground.errors import ConfigurationError  # noqa: E402

pytestmark = pytest.mark.untraced

INPUTS = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def seen(low: float, high: float) -> Activation:
    """An activation that has seen one batch between these."""
    activation = Activation()
    activation(torch.tensor([low, high]))
    activation.eval()
    return activation


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> onnx.ModelProto:
    """A depthwise-separable network whose normalisations are not those that it begins with, folded."""
    torch.manual_seed(0)
    network = separable(5, width=8)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.weight.data.uniform_(0.2, 3)
            layer.bias.data.normal_()
    return onnx.load(to_onnx(network, INPUTS[:2], tmp_path_factory.mktemp("onnx") / "separable.onnx"))


def run(file: Path) -> Any:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {"normalised": INPUTS.numpy()})[0]


@given(low=st.floats(-100, 0), high=st.floats(0.01, 100), share=st.floats(0, 1))
def test_a_value_moves_by_half_a_level_at_most_and_zero_not_at_all(low: float, high: float, share: float) -> None:
    activation = seen(low, high)
    step, _ = activation.step_and_zero()
    value = torch.tensor([low + share * (high - low), 0.0])
    moved = (activation(value) - value).abs()
    assert moved[0] <= step * 1.01  # half a level, and half of one by which the ends move for an exact zero
    assert moved[1] == 0


@given(low=st.floats(-100, 0), high=st.floats(0.01, 100))
def test_what_is_on_a_level_stays(low: float, high: float) -> None:
    activation = seen(low, high)
    once = activation(torch.linspace(low, high, 50))
    torch.testing.assert_close(activation(once), once)


def test_the_gradient_goes_straight_through_inside_the_range_and_is_0_outside() -> None:
    values = torch.tensor([-3.0, -0.9, 0.3, 0.9, 5.0], requires_grad=True)
    seen(-1, 1)(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 1, 1, 1, 0]
    whole = torch.tensor([0.2, 1.7], requires_grad=True)
    (rounded(whole) * torch.tensor([2.0, 3.0])).sum().backward()
    assert whole.grad is not None
    assert whole.grad.tolist() == [2, 3]


def test_ranges_follow_training_and_stay_when_it_is_served() -> None:
    activation = seen(-1, 1)
    before = activation.step_and_zero()
    activation(torch.tensor([50.0]))
    assert activation.step_and_zero() == before
    activation.train()(torch.tensor([50.0]))
    assert activation.step_and_zero() > before


def test_the_largest_weight_is_the_last_level_of_all_or_of_its_channel() -> None:
    weight = torch.tensor([[1.0, -2.0], [8.0, 4.0]])
    torch.testing.assert_close(step_of(weight, 4, per_channel=False), torch.tensor(2.0))
    torch.testing.assert_close(step_of(weight, 4, per_channel=True), torch.tensor([0.5, 2.0]))


def test_the_graph_in_pytorch_answers_as_the_runtime(graph: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(graph, tmp_path / "float.onnx")
    answers = logits_of(OnnxNetwork(graph), INPUTS).numpy()
    np.testing.assert_allclose(answers, run(tmp_path / "float.onnx"), atol=1e-4)


def test_what_was_learnt_is_written_back(graph: onnx.ModelProto, tmp_path: Path) -> None:
    network = OnnxNetwork(graph)
    labels = torch.arange(len(INPUTS)) % 5
    losses = fit(network, INPUTS, labels, Schedule(epochs=12, rate=0.02, batch=16), lambda _: None)
    assert losses[-1] < losses[0]
    onnx.save(network.written(), tmp_path / "learnt.onnx")
    np.testing.assert_allclose(run(tmp_path / "learnt.onnx"), logits_of(network, INPUTS).numpy(), atol=1e-3)
    assert not np.allclose(run(tmp_path / "learnt.onnx"), logits_of(OnnxNetwork(graph), INPUTS).numpy(), atol=1e-2)


@pytest.mark.parametrize("arm", ARMS, ids=lambda arm: arm.name)
def test_the_integers_give_the_answers_that_were_trained(arm: Arm, graph: onnx.ModelProto, tmp_path: Path) -> None:
    network = aware(graph, arm, INPUTS)
    if arm.trains:
        labels = torch.arange(len(INPUTS)) % 5
        losses = fit(network, INPUTS, labels, Schedule(epochs=6, rate=0.01, batch=16), lambda _: None)
        assert losses[-1] < losses[0]
    answers, found = logits_of(network, INPUTS).numpy(), run(to_qdq(network, tmp_path / "qdq.onnx"))
    scale = np.abs(answers).max()
    assert np.median(np.abs(found - answers)) < 0.01 * scale  # roundings fall the other way here and there
    assert np.abs(found - answers).max() < 0.1 * scale
    levels = [onnx.numpy_helper.to_array(each) for each in onnx.load(tmp_path / "qdq.onnx").graph.initializer]
    weights = [each for each in levels if each.dtype == np.int8]
    assert len(weights) == 8
    assert max(int(np.abs(each).max()) for each in weights) == (7 if arm.bits == 4 else TOP)


def test_a_channel_of_hardly_any_weight_keeps_its_bias(graph: onnx.ModelProto, tmp_path: Path) -> None:
    """Its bias in steps of the products would not fit into INT32."""
    network = aware(graph, ARMS[0], INPUTS)
    name = next(node.input[1] for node in graph.graph.node if node.op_type == "Conv")
    with torch.no_grad():
        network.network.weight(name)[:4] *= 1e-12
    answers = logits_of(network, INPUTS).numpy()
    assert np.abs(run(to_qdq(network, tmp_path / "qdq.onnx")) - answers).max() < 0.1 * np.abs(answers).max()


def test_the_runtime_runs_it_in_integers(graph: onnx.ModelProto, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    options.log_severity_level = 3
    file = to_qdq(aware(graph, ARMS[0], INPUTS), tmp_path / "qdq.onnx")
    onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "loaded.onnx").graph.node)
    assert kinds["QLinearConv"] == 7
    assert kinds["Conv"] == kinds["FusedConv"] == 0


def test_fewer_bits_take_more_from_the_answers(graph: onnx.ModelProto) -> None:
    whole = logits_of(OnnxNetwork(graph), INPUTS)
    off = {arm.name: float((logits_of(aware(graph, arm, INPUTS), INPUTS) - whole).abs().mean()) for arm in ARMS}
    assert off["ptq_channel_8bit"] < off["ptq_tensor_8bit"] < off["ptq_tensor_4bit"]
    assert off["ptq_channel_8bit"] < off["ptq_channel_4bit"]


def test_post_training_keeps_most_of_the_answers(graph: onnx.ModelProto, tmp_path: Path) -> None:
    onnx.save(graph, tmp_path / "float.onnx")
    whole = run(tmp_path / "float.onnx")
    found = run(post_training(tmp_path / "float.onnx", INPUTS.numpy(), tmp_path / "int8.onnx"))
    assert 0 < np.abs(found - whole).mean() < 0.05 * np.abs(whole).max()


@pytest.mark.parametrize(
    ("kind", "name", "value"), [("Gemm", "alpha", 0.5), ("Gemm", "transA", 1), ("Conv", "auto_pad", "SAME_UPPER")]
)
def test_an_attribute_that_is_not_done_is_refused(kind: str, name: str, value: object, graph: onnx.ModelProto) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    node = next(node for node in other.graph.node if node.op_type == kind)
    kept = [each for each in node.attribute if each.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])
    with pytest.raises(ConfigurationError, match=f"{kind} with {name}"):
        OnnxNetwork(other)


def test_a_clip_without_a_bound_is_refused(graph: onnx.ModelProto) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    next(node for node in other.graph.node if node.op_type == "Relu").op_type = "Clip"
    with pytest.raises(ConfigurationError, match="Clip without both bounds"):
        OnnxNetwork(other)


def test_an_operator_that_is_not_known_is_refused(graph: onnx.ModelProto) -> None:
    other = onnx.ModelProto()
    other.CopyFrom(graph)
    other.graph.node[1].op_type = "Sigmoid"
    with pytest.raises(ConfigurationError, match="Sigmoid"):
        OnnxNetwork(other)
