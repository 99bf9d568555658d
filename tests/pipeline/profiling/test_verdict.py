"""The bottleneck is named by rules: each rule's evidence makes it the first, and what is not known is said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipeline.profiling.evidence_of import driven, evidence, graph, role
from topfive_pipeline.profiling.evidence import Evidence
from topfive_pipeline.profiling.usage import Usage
from topfive_pipeline.profiling.verdict import Finding, verdict

BUSY: dict[str, Any] = {"cores": 1.9, "machine": 1.98, "slots_busy": 2.0, "queued": 5.0}
"""Of two cores."""


def first(**changes: Any) -> Finding:
    return verdict(evidence(**changes))[0]


@pytest.mark.parametrize(
    ("changes", "key", "said", "tried"),
    [
        (BUSY, "cpu:inference", "CPU-bound in the network", "topfive optimise m"),
        (BUSY | {"precision": "INT8"}, "cpu:inference", "CPU-bound in the network", "topfive tune m"),
        (BUSY | {"decode": 0.1}, "cpu:decode", "decoding images", "jpeg_short_side"),
        (BUSY | {"resize": 0.1}, "cpu:resize", "resizing images", "smaller pictures"),
        (BUSY | {"rest": 0.1}, "cpu:rest", "outside of the stages", "--workers 2"),
        ({"cores": 1.0, "roles": (role(0.95),)}, "loop", "event loop", "--workers 2"),
        (BUSY | {"load": driven(64, cpu=0.1, failed={"429": 300})}, "failures", "Many requests failed", "connections"),
        (BUSY | {"throttled": 0.4, "throttled_seconds": 0.7}, "quota", "CPU quota", "higher quota"),
        ({"major_faults": 500.0}, "memory", "too little memory", "memory limit"),
        ({"swapped": 500.0}, "memory", "too little memory", "memory limit"),
        ({"memory_events": 3}, "memory", "too little memory", "memory limit"),
        ({"pressure": {"memory": 0.3}}, "memory", "too little memory", "memory limit"),
        (BUSY | {"steal": 0.5}, "neighbours", "virtual machines", "dedicated cores"),
        (BUSY | {"cores": 1.0, "roles": (role(0.5, waited=0.5),)}, "neighbours", "neighbours on this machine", "top"),
        ({"gpu": 0.97}, "gpu", "GPU-bound", "TensorRT"),
        ({"pressure": {"io": 0.5}, "read_rate": 5e7, "queued": 4.0}, "disk", "disks", "file cache"),
        ({"slots_busy": 2.0}, "slots", "too few slots", "topfive tune m"),
        ({"load": driven(64, cpu=0.99)}, "generator", "load generator", "more generators"),
        ({}, "client", "the client or the network", "more connections"),
        ({"load": driven(1, cpu=0.05)}, "client", "waits for each answer", "--connections 8"),
        ({"load": None, "in_flight": 0.4}, "client", "waits for each answer", "--connections 8"),
        ({"cores": 1.5, "machine": 1.6, "queued": 5.0}, "unknown", "Unknown", "--seconds 60"),
    ],
)
def test_what_was_caused_is_named(changes: dict[str, Any], key: str, said: str, tried: str) -> None:
    found = first(**changes)
    assert found.key == key
    assert said in found.name
    assert tried in found.tries[0]
    assert found.figures
    assert found.sentence.startswith(found.name)


def test_the_sentence_has_the_figures_and_the_operator() -> None:
    found = first(**BUSY)
    assert "99% of the cores are busy" in found.sentence
    assert "the network is 73% of a request's work" in found.sentence
    assert "of the network Conv is 75%" in found.sentence


def test_a_stage_that_is_not_most_of_the_work_is_told_with_the_next() -> None:
    found = first(**BUSY, decode=0.006)
    assert "the network is 50% of a request's work, decoding 38%" in found.sentence


def test_a_generator_on_the_same_cores_is_told_and_is_no_neighbour() -> None:
    load = driven(8, cpu=0.9)
    found = first(cores=1.0, machine=2.0, load=load, roles=(role(0.5, waited=0.5),))
    assert found.key == "cpu:inference"
    assert "the load generator took 0.9 of 2 cores" in found.sentence


def test_what_else_holds_is_told_too() -> None:
    found = verdict(evidence(**BUSY, throttled=0.5))
    assert [each.key for each in found] == ["quota", "cpu:inference"]


def test_one_connection_is_told_what_makes_its_answers_long() -> None:
    found = first(load=driven(1, cpu=0.05), decode=0.1)
    assert "most of it decoding" in found.sentence
    assert "jpeg_short_side" in found.tries[1]


def test_a_full_affinity_mask_counts_though_the_machine_idles() -> None:
    """One core of 64 may be used, and is."""
    assert first(cores=0.99, machine=1.2, cpus=64, cores_limit=1.0, slots=1.0, slots_busy=1.0).key == "cpu:inference"


def test_without_an_answer_nothing_is_claimed() -> None:
    none = replace(evidence(load=driven(8, cpu=0.1, failed={"503": 12}), **BUSY), stages=None)
    (found,) = verdict(none)
    assert found.key == "nothing"
    assert "12 with 503" in found.sentence


def test_from_outside_only_that_much_is_said() -> None:
    """Without the process, cores are unknown: no rule may guess them."""
    found = verdict(Evidence(stages=evidence().stages, usage=Usage(seconds=20.0), model="m"))
    assert [each.key for each in found] == ["unknown"]
    assert "is not known here" in found[0].sentence


shares = st.floats(0, 1)
maybe = st.none() | shares


@settings(max_examples=60)
@given(
    cores=st.none() | st.floats(0, 2),
    others=st.floats(0, 2),
    busy=st.none() | st.floats(0, 2),
    waited=shares,
    throttled=maybe,
    memory=shares,
    gpu=maybe,
    steal=shares,
)
def test_there_is_always_a_verdict_with_something_to_try(
    cores: float | None,
    others: float,
    busy: float | None,
    waited: float,
    throttled: float | None,
    memory: float,
    gpu: float | None,
    steal: float,
) -> None:
    machine = None if cores is None else min(2.0, cores + others)
    told = evidence(
        cores=cores,
        machine=machine,
        slots_busy=busy,
        roles=(role(0.3, waited=waited),),
        throttled=throttled,
        pressure={"memory": memory},
        gpu=gpu,
        steal=steal,
        graphs=(graph(), graph("resize")),
    )
    found = verdict(told)
    keys = [each.key for each in found]
    assert len(set(keys)) == len(keys) >= 1
    assert all(each.tries and each.name for each in found)
    assert ("quota" in keys) == (throttled is not None and throttled >= 0.1)
    assert told.fullness is None or 0 <= told.fullness <= 1
