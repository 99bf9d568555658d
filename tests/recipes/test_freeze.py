"""Every way out of eager mode answers as eager mode does, at batch sizes that it was not made with; ratios are fair."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.pipeline.conftest import needs_export

needs_export()

import torch  # noqa: E402  # these are imported once it is known that torch is there

from recipes.freeze import exported, in_onnx_runtime, scripted, traced  # noqa: E402
from recipes.kit.networks import plain  # noqa: E402
from recipes.kit.side_by_side import ratios, said, table  # noqa: E402

pytestmark = pytest.mark.untraced


@pytest.mark.parametrize("make", [traced, scripted, exported, in_onnx_runtime])
def test_the_answers_stay(make: Callable[..., Callable[[torch.Tensor], torch.Tensor]], tmp_path: Path) -> None:
    """Also with statistics that differ from those of a new network: all of them must have been taken along."""
    torch.manual_seed(0)
    network = plain(10, width=8)
    network(3 + 2 * torch.randn(32, 1, 12, 12))  # in training mode: the statistics move
    network.eval()
    if make is in_onnx_runtime:
        make = partial(make, file=tmp_path / "graph.onnx", threads=1)
    way = make(network, torch.randn(2, 1, 12, 12))
    with torch.inference_mode():
        for batch in (1, 2, 5):
            inputs = torch.randn(batch, 1, 12, 12)
            expected, found = network(inputs), way(inputs)
            assert found.shape == expected.shape
            assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


def test_everybody_runs_in_each_round_in_an_order_that_turns() -> None:
    order: list[str] = []
    found = ratios({name: partial(order.append, name) for name in "abc"}, rounds=3, slice_seconds=0)
    warm, timed = "abc", "abc"
    assert "".join(order) == warm + timed + "abc" + "cab" + "bca"
    assert found["a"] == (1.0, 1.0, 1.0)
    assert all(0 < low <= middle <= high for middle, low, high in found.values())


@pytest.mark.parametrize(("runs", "rounds"), [({}, 3), ({"a": list}, 0)])
def test_nothing_to_compare_is_refused(runs: dict[str, Callable[[], object]], rounds: int) -> None:
    with pytest.raises(ValueError, match="nothing to compare"):
        ratios(runs, rounds=rounds)


def test_a_table_is_kept(tmp_path: Path) -> None:
    text = table(["way", "×"], [["eager", said((1, 0.5, 1.25))]], tmp_path / "some" / "table.md")
    assert text == "| way | × |\n| --- | --- |\n| eager | 1.00 [0.50, 1.25] |\n"
    assert (tmp_path / "some" / "table.md").read_text(encoding="utf-8") == text
