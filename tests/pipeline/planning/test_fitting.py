"""What was seen of a server that is so many times as slow is found again by the fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.planning.given import costs
from topfive_pipeline.planning import fitting
from topfive_pipeline.planning.fitting import Seen, fitted


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is random."""
    monkeypatch.setattr(fitting, "_SIMULATED", 200)


def test_a_server_that_is_slower_than_its_stages_is_found_out() -> None:
    """80 a second where the stages by themselves would do 100; a lone image takes 2 ms beyond its 12.5."""
    seen = Seen(capacity=80.0, lone=[0.0145] * 5, pair=0.0, connections=4, machine_cores=1)
    found = fitted(costs(), seen)
    assert found.batch_seconds[1] == pytest.approx(0.0125, rel=0.02)
    assert found.fixed_seconds == pytest.approx(0.002, abs=0.0003)


def test_the_load_generator_is_not_a_cost_of_the_service() -> None:
    """It took 2.5 ms of the only core for each request: the stages are as fast as they are."""
    seen = Seen(capacity=80.0, lone=[0.0125] * 5, pair=0.0, connections=4, machine_cores=1)
    assert fitted(costs(client_seconds=0.0025), seen).batch_seconds[1] == pytest.approx(0.01, rel=0.02)


def test_lone_images_on_all_cores_are_taken_as_they_were_seen() -> None:
    seen = Seen(capacity=200.0, lone=[0.006, 0.007, 0.012], pair=0.0, connections=8, machine_cores=2)
    found = fitted(costs(cores=2, slots=2, alone=(0.01,), loop_seconds=0.0001), seen)
    assert found.alone == pytest.approx([0.0059, 0.0069, 0.0119])


def test_where_no_image_was_alone_the_stages_are_all_that_is_known() -> None:
    found = fitted(costs(), Seen(capacity=100.0, lone=[], pair=0.0, connections=4, machine_cores=1))
    assert found.fixed_seconds == 0
    assert found.batch_seconds[1] == pytest.approx(0.01, rel=0.02)


def test_threads_that_share_a_core_are_found_out() -> None:
    """Two requests at once on two cores: half of them take twice as long, which is 15 ms on average."""
    apart = Seen(capacity=200.0, lone=[], pair=0.0102, connections=8, machine_cores=2)
    two = costs(cores=2, slots=2, loop_seconds=0.0002)
    assert fitted(two, apart).misplaced == pytest.approx(0, abs=0.06)
    assert fitted(two, replace(apart, pair=0.015)).misplaced == pytest.approx(0.6, abs=0.25)
