"""The plan has the fewest servers that hold the objective, with headroom, and says what a loss does to them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.pipeline.planning.given import RAW, costs
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.planning import planner
from topfive_pipeline.planning.planner import Demand, batch_limits, plan, with_cores
from topfive_pipeline.planning.traces import Request, Trace
from topfive_pipeline.under_load.latency_objective import parsed


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulations of a few hundred requests: which servers are found does not hang on more here."""
    monkeypatch.setattr(planner, "REQUESTS", 500)
    monkeypatch.setattr(planner, "_SHORTEST", 1.0)
    monkeypatch.setattr(planner, "SHARES", (0.5, 1.0, 2.0))
    monkeypatch.setattr(planner, "_AT_SECONDS", 0.5)
    monkeypatch.setattr(planner, "_AFTER_SECONDS", 1.5)
    monkeypatch.setattr(planner, "_DRAIN_SECONDS", 0.2)


def demand(rate: float, objective: str = "p99:100ms", headroom: float = 0.2) -> Demand:
    return Demand(rate=rate, objective=parsed(objective), headroom=headroom)


def test_the_fewest_servers_that_hold_it_are_found() -> None:
    """Of 100 images a second each: 250 with a fifth more take 4, since 3 would be full."""
    told = plan(demand(250), [costs(start_seconds=0.1)])
    assert told.chosen is not None
    assert told.chosen.replicas == 4
    assert told.spare is not None
    assert told.spare.replicas == 5
    assert [round(probe.rate) for probe in told.curve] == [125, 250, 500]
    assert [told.demand.objective.margin(probe) <= 0 for probe in told.curve] == [True, True, False]
    assert told.lost is not None
    assert told.lost.failed == 0
    assert told.rollout is not None
    assert told.demand.objective.margin(told.rollout) <= 0


def test_without_headroom_fewer_do() -> None:
    told = plan(demand(250, headroom=0.0), [costs(start_seconds=0.1)])
    assert told.chosen is not None
    assert told.chosen.replicas == 3


def test_an_objective_below_the_service_time_holds_at_no_number() -> None:
    told = plan(demand(100, "p99:5ms"), [costs()])
    assert told.chosen is None
    assert told.options[0].replicas == 0


def test_of_several_kinds_of_servers_the_one_with_the_fewest_cores_is_chosen() -> None:
    slow = costs(batch_seconds={1: 0.02}, start_seconds=0.1)
    told = plan(demand(100), [slow, costs(start_seconds=0.1)])
    assert told.chosen is not None
    assert [option.replicas > 0 for option in told.options] == [True, True]
    assert told.chosen is told.options[1]


def test_a_large_fleet_is_simulated_by_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "SLICE", 3)
    told = plan(demand(1000), [costs(start_seconds=0.1)])
    assert told.chosen is not None
    assert 12 <= told.chosen.replicas <= 17


def test_gpus_follow_the_front_ends() -> None:
    """Front ends of 1 ms an image, and a GPU for each two of them."""
    told = plan(demand(150), [costs(on_device=True, loop_seconds=0.001, start_seconds=0.1)], gpus_for=2.0)
    assert told.chosen is not None
    assert told.chosen.gpus == -(-told.chosen.replicas // 2)
    assert told.chosen.gpus >= 2


def test_a_trace_is_played_at_the_rate_that_is_planned() -> None:
    """Five requests at once, ten times a second: the last of five waits for four, as independent ones do not."""
    bursts = Trace([Request(tenth / 10) for tenth in range(100) for _ in range(5)])
    told = plan(replace(demand(50, "p99:60ms", headroom=0.0), trace=bursts), [costs(start_seconds=0.1)])
    assert told.chosen is not None
    assert told.chosen.probe.latencies[-1] == pytest.approx(0.05, abs=0.005)


def test_a_server_of_other_cores_has_other_slots_and_no_lone_image() -> None:
    measured = costs(cores=2, slots=2, alone=(0.006,))
    assert with_cores(measured, 2) == measured
    larger = with_cores(measured, 8)
    assert (larger.cores, larger.slots, larger.alone) == (8, 8, ())
    with pytest.raises(ConfigurationError, match="--pod-cores 1: a slot of this model has 2 threads"):
        with_cores(replace(measured, threads=2), 1)


def test_each_measured_size_is_tried_as_the_limit() -> None:
    tried = batch_limits(costs(kinds=(RAW,), batch_seconds={4: 0.03, 1: 0.01}, batch_size_that_pays=4))
    assert [each.batch_size_that_pays for each in tried] == [1, 4]
