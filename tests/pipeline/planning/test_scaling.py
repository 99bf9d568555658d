"""The arithmetic of a rate: what one of each resource bears, and how many it takes."""

from __future__ import annotations

import pytest

from tests.pipeline.planning.given import JPEG, costs
from topfive_pipeline.planning.scaling import needs


def test_what_bears_least_comes_first() -> None:
    """10 ms of the network: 100 a second on a core; 70 % of it for 700 a second are ten."""
    found = needs(costs(loop_seconds=0.001), 700.0)
    assert found[0].what == "core that runs the network, with batches of 1"
    assert found[0].each == pytest.approx(100)
    assert found[0].count == 10
    assert [round(need.each) for need in found[1:2]] == [1000]


def test_a_gpu_is_counted_instead_of_cores_and_crops_go_over_a_wire() -> None:
    found = {need.what: need for need in needs(costs(on_device=True, kinds=(JPEG,), batch_seconds={8: 0.004}), 1e6)}
    assert found["GPU, with batches of 8"].each == pytest.approx(2000)
    assert found["GPU, with batches of 8"].count == 715
    assert found["core that decodes and resizes"].each == pytest.approx(1 / 0.006)
    assert "network card of 25 Gbit/s, for crops to Triton" in found
