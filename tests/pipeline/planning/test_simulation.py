"""The simulation does what queueing theory says, and what the service's own code does."""

from __future__ import annotations

import pytest

from tests.pipeline.planning.given import JPEG, RAW, costs
from topfive_pipeline.planning.costs import Costs, KindCosts
from topfive_pipeline.planning.fleet import Loss, Rollout, Site
from topfive_pipeline.planning.simulation import Simulated, closed, opened, poisson


def load(site: Site, rate: float, *, requests: int = 1500, after: float = 0.0) -> Simulated:
    arrivals = poisson(site.costs.kinds, rate=rate, seconds=requests / rate, seed=3)
    return opened(site, arrivals, after=after)


def mean(found: Simulated) -> float:
    latencies = found.probe(1.0).latencies
    return sum(latencies) / len(latencies)


def test_one_server_waits_as_pollaczek_and_khinchine_say() -> None:
    """M/D/1: the wait is load / (2 (1 - load)) services; here half loaded, so half a service, 5 ms."""
    found = load(Site(costs=costs()), 50.0, requests=6_000)
    assert mean(found) == pytest.approx(0.015, rel=0.05)
    assert found.busy == pytest.approx(0.5, rel=0.05)


def test_a_closed_loop_does_what_the_slots_do() -> None:
    assert closed(Site(costs=costs(cores=2, slots=2)), connections=8, seconds=4.0).rate == pytest.approx(200, rel=0.02)


def test_threads_that_go_on_keep_their_core() -> None:
    """A kernel misplaces who is woken; under full load nobody sleeps, and the most is what it was."""
    misplaced = costs(cores=2, slots=2, misplaced=1.0)
    assert closed(Site(costs=misplaced), connections=8, seconds=4.0).rate == pytest.approx(200, rel=0.03)
    assert mean(load(Site(costs=misplaced), 60.0, requests=600)) > 1.15 * mean(
        load(Site(costs=costs(cores=2, slots=2)), 60.0, requests=600)
    )


def test_larger_batches_are_formed_under_load_only() -> None:
    """Batches of up to 4 at half the price: a lone image goes alone, a crowd in fours."""
    batching = costs(batch_seconds={1: 0.01, 2: 0.012, 4: 0.02}, batch_size_that_pays=4)
    assert set(load(Site(costs=batching), 5.0, requests=200).batches) <= {1, 2}
    crowded = closed(Site(costs=batching), connections=12, seconds=4.0)
    assert crowded.rate == pytest.approx(200, rel=0.05)
    assert crowded.batches[4] > 0.9 * sum(crowded.batches.values())


def test_a_lone_image_has_all_cores() -> None:
    alone = costs(cores=2, slots=2, alone=(0.006,))
    assert load(Site(costs=alone), 1.0, requests=100).probe(1.0).at("50") == pytest.approx(0.006)


def test_files_are_decoded_beside_the_batches() -> None:
    """6 ms of preparing and 10 ms of the network on two cores: the slots are not held up by the files."""
    found = closed(Site(costs=costs(cores=2, slots=2, kinds=(JPEG,))), connections=16, seconds=4.0)
    assert found.rate == pytest.approx(2 / 0.016, rel=0.05)


def test_overload_is_refused_as_the_service_does_it() -> None:
    """Twice the capacity: half is refused, and what is answered has waited no longer than the service lets it."""
    found = load(Site(costs=costs()), 200.0, requests=3000, after=5.0)
    probe = found.probe(200.0)
    assert probe.failed_share == pytest.approx(0.5, abs=0.1)
    assert probe.latencies[-1] < 2.5


def test_the_event_loop_does_one_thing_at_a_time() -> None:
    """4 ms for each request: no more than 250 a second, however many cores there are."""
    busy = costs(cores=8, slots=8, loop_seconds=0.004, batch_seconds={1: 0.001})
    assert closed(Site(costs=busy), connections=32, seconds=2.0).rate == pytest.approx(250, rel=0.03)


MIXED = costs(kinds=(RAW, JPEG), start_seconds=0.2)


@pytest.mark.parametrize("policy", ["least_conn", "round_robin", "random_two"])
def test_several_servers_bear_the_sum(policy: str) -> None:
    site = Site(costs=costs(), replicas=4, policy=policy)  # type: ignore[arg-type]
    found = load(site, 240.0)
    assert found.probe(240.0).failed == 0
    assert found.busy == pytest.approx(0.6, rel=0.06)


def test_who_has_least_to_do_is_the_better_choice() -> None:
    """Images of very different cost, three quarters loaded: the tail of round robin is longer."""
    dear = costs(kinds=(RAW, KindCosts(name="large", nbytes=9, decode_seconds=0.09, price_seconds=0.09, share=0.1)))
    tails = {
        policy: load(Site(costs=dear, replicas=4, policy=policy), 150.0).probe(150.0).at("99")
        for policy in ("least_conn", "round_robin")
    }
    assert tails["least_conn"] < 0.8 * tails["round_robin"]


def test_a_lost_server_loses_nothing() -> None:
    """Its requests are noticed after a second, and answered by another."""
    site = Site(costs=MIXED, replicas=4, events=(Loss(1.0, number=2, noticed_seconds=1.0),))
    probe = load(site, 120.0, requests=600).probe(120.0)
    assert probe.failed == 0
    assert 0.9 < probe.latencies[-1] < 1.5  # the first of its requests came just after the loss
    assert probe.at("99") < 1.0


def test_a_rollout_loses_nothing_and_all_are_up_again() -> None:
    site = Site(costs=MIXED, replicas=3, events=(Rollout(0.5),))
    probe = load(site, 60.0, requests=300).probe(60.0)
    assert probe.failed == 0
    assert probe.latencies[-1] < 0.5


def test_without_a_server_requests_fail() -> None:
    site = Site(costs=costs(), replicas=1, events=(Loss(0.5, noticed_seconds=0.1),))
    assert load(site, 20.0, requests=100).probe(20.0).failed > 50


def test_servers_share_a_gpu() -> None:
    """One GPU of 100 images/s behind two servers: the most that both do together."""
    device: Costs = costs(on_device=True, loop_seconds=0.0001)
    assert closed(Site(costs=device, replicas=2, gpus=1), connections=16, seconds=4.0).rate == pytest.approx(
        100, rel=0.05
    )


def test_the_same_seed_is_the_same_simulation() -> None:
    site = Site(costs=MIXED, replicas=2, policy="random_two")
    assert load(site, 100.0, requests=300).answers == load(site, 100.0, requests=300).answers
