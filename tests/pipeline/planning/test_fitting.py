"""What was seen of a server that is so many times as slow is found again by the fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.pipeline.planning.given import JPEG, RAW, costs
from topfive_pipeline.planning import fitting
from topfive_pipeline.planning.fitting import PAIR, Lone, Seen, fitted, shared_with_client
from topfive_pipeline.planning.fleet import Site
from topfive_pipeline.planning.simulation import closed


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is random."""
    monkeypatch.setattr(fitting, "_SIMULATED", 200)


def seen(capacity: float, *, cores: int = 1, **also: Any) -> Seen:
    """Of a server on a machine with so many cores, asked by as many connections as keep all of them busy."""
    return Seen(**{"capacity": capacity, "pair": 0.0, "connections": 4 * cores, "machine_cores": cores, **also})


def lone(inference: float, *, beyond: float = 0.0, decode: float = 0.0, resize: float = 0.0) -> Lone:
    """Five images that took so long in each stage, and `beyond` them."""
    usual = decode + resize + inference + beyond
    return Lone(latencies=[usual] * 5, decode=decode, resize=resize, inference=inference)


def test_a_server_that_is_slower_than_its_stages_is_found_out() -> None:
    """80 a second where the stages by themselves would do 100."""
    assert fitted(costs(), seen(80.0)).batch_seconds[1] == pytest.approx(0.0125, rel=0.02)


def test_the_load_generator_is_not_a_cost_of_the_service() -> None:
    """It took 2.5 ms of the only core for each request: the stages are as fast as they are."""
    assert fitted(costs(client_seconds=0.0025), seen(80.0)).batch_seconds[1] == pytest.approx(0.01, rel=0.02)


def test_stages_take_as_long_as_they_did_in_the_server() -> None:
    """Decoding half as long again as by itself, resizing twice, a batch 2 ms longer; and 1 ms passes beyond them."""
    asked = lone(0.012, beyond=0.001, decode=0.006, resize=0.004)
    found = fitted(costs(kinds=(JPEG,)), seen(1 / 0.022, lone=asked))
    assert found.kinds[0].decode_seconds == pytest.approx(0.006, rel=0.02)
    assert found.kinds[0].resize_seconds == pytest.approx(0.004, rel=0.02)
    assert found.batch_seconds[1] == pytest.approx(0.010, rel=0.02)
    assert found.cold_seconds == pytest.approx(0.002, rel=0.02)
    assert found.fixed_seconds == pytest.approx(0.001, rel=0.02)


def test_stages_are_those_of_the_images_by_their_shares() -> None:
    """Three files to each image as pixels, which is not decoded: the mean of 3 ms is that of files of 4 ms."""
    kinds = (replace(JPEG, share=75.0), replace(RAW, share=25.0))
    found = fitted(costs(kinds=kinds), seen(1 / 0.0145, lone=lone(0.010, decode=0.003, resize=0.0015)))
    assert found.kinds[0].decode_seconds == pytest.approx(0.004, rel=0.03)


def test_lone_images_on_all_cores_are_taken_as_they_were_seen() -> None:
    """A run took 6 ms on average, and 0.7 ms pass beyond: what remains of the latencies is how runs differ."""
    two = costs(cores=2, slots=2, alone=(0.01,), loop_seconds=0.0001)
    asked = replace(lone(0.006), latencies=[0.0062, 0.0068, 0.0122])
    found = fitted(two, seen(200.0, cores=2, lone=asked))
    assert found.alone == pytest.approx([0.0054, 0.006, 0.0114], rel=0.02)
    assert found.fixed_seconds == pytest.approx(0.0007, rel=0.02)


@pytest.mark.parametrize("asked", [None, Lone(latencies=[], decode=0.0, resize=0.0, inference=0.0)])
def test_where_no_image_was_alone_the_stages_are_all_that_is_known(asked: Lone | None) -> None:
    known = costs(cores=2, slots=2, alone=(0.006,))
    assert fitted(known, seen(200.0, cores=2, lone=asked)).alone == pytest.approx([0.006], rel=0.02)
    found = fitted(costs(), seen(100.0, lone=asked))
    assert found.fixed_seconds == 0
    assert found.batch_seconds[1] == pytest.approx(0.01, rel=0.02)


def test_threads_that_share_a_core_are_found_out() -> None:
    """Two requests at once on two cores, each of 10.2 ms by itself; they took 13."""
    two = costs(cores=2, slots=2, loop_seconds=0.0002)
    assert fitted(two, seen(196.1, cores=2, pair=0.0102)).misplaced == pytest.approx(0, abs=0.06)
    assert fitted(two, seen(196.1, cores=2, pair=0.0130)).misplaced == pytest.approx(0.55, abs=0.15)


def test_small_batches_that_take_more_work_than_their_share_are_found_out() -> None:
    """A server whose batches are 3 ms colder than by themselves, and which has a session for lone images."""
    known = costs(cores=2, slots=2, batch_seconds={1: 0.008, 2: 0.014}, batch_size_that_pays=2, alone=(0.004,))
    site = Site(costs=shared_with_client(replace(known, cold_seconds=0.003)), machine_cores=2)
    most, pair = (closed(site, connections=connections, seconds=4.0) for connections in (8, PAIR))
    effort = (pair.busy / pair.rate) / (most.busy / most.rate)
    found = fitted(known, seen(most.rate, cores=2, effort=effort))
    assert found.cold_seconds == pytest.approx(0.003, abs=0.0006)
    assert found.batch_seconds[1] == pytest.approx(0.008, rel=0.06)
