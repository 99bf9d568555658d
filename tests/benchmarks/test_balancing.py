"""Policies are the deployed files with one line changed; the figures are of the right kinds of requests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from benchmarks import balancing, haproxy, nginx, policies, proxies, workloads
from benchmarks.balancing import BATCH, COUNTS, LARGE, SMALL, Window
from benchmarks.policies import POLICIES, Agent
from benchmarks.server import ROOT
from tests.benchmarks.given import answer
from topfive_loadgen import metrics

REPLICAS = [("127.0.0.1", 11), ("127.0.0.1", 12), ("127.0.0.1", 13)]


def test_the_mix_has_all_kinds_in_a_fixed_order() -> None:
    payloads = workloads.load(ROOT / "docs")
    sent = balancing.mix_of(payloads, seed=1)
    assert {kind: sum(one == kind for one, _ in sent) for kind in COUNTS} == COUNTS
    assert sent == balancing.mix_of(payloads, seed=1)
    assert {kind for kind, request in sent if b"count=16" in request} == {BATCH}
    assert {kind for kind, request in sent if b"image/jpeg" in request} == {LARGE}


def test_figures_are_of_each_kind_and_without_the_warm_up() -> None:
    samples = [answer(0, 0.5, 0.5, 9.0, 200), answer(0, 2.0, 2.0, 2.1, 200), answer(1, 2.0, 2.0, 3.0, 200)]
    found = [Window("a", 0, samples, [], cpu_seconds=0.006), Window("b", 0, [answer(0, 2.0, 2.0, 2.0, 503)], [])]
    figures = balancing.summarise(found, [SMALL, LARGE], warm_seconds=1.0)
    assert figures["a"][f"{SMALL} p99"] == pytest.approx(100)
    assert figures["a"][f"{LARGE} p50"] == pytest.approx(1000)
    assert [row["proxy CPU"] for row in figures.values()] == pytest.approx([2.0, 0.0])
    assert [row["not 200"] for row in figures.values()] == [0, 1]


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    balancing.draw({name: {f"{SMALL} p50": 5.0, f"{SMALL} p90": 50.0} for name in POLICIES}, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size


def test_an_agent_gives_less_weight_to_who_has_more_to_do() -> None:
    class Asked:
        text = ""

        def metrics(self) -> metrics.Reading:
            return metrics.parse(self.text)

    replica: Any = Asked()
    agent = Agent(replica)
    try:
        weights = []
        for waiting in (0, 1, 9, 10_000):
            replica.text = f'topfive_queue_items{{model="m"}} {waiting}\n'
            weights.append(agent.weight())
    finally:
        agent.close()
    assert weights == [100, 50, 10, 1]


@pytest.mark.parametrize("name", POLICIES)
def test_each_policy_is_a_configuration_that_its_proxy_takes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the deployed ones are the deployed files."""
    taken: list[str] = []

    class Seen:
        address = ("127.0.0.1", 1)

        def __init__(self, folder: Path, **given: object) -> None:
            taken.append(str(given.get("configuration") or given.get("site")))

        @classmethod
        def before(cls, folder: Path, *, deployed: str, **_: object) -> Seen:
            return cls(folder, site=deployed)

        def close(self) -> None: ...

    monkeypatch.setattr(policies, "Nginx", Seen)
    monkeypatch.setattr(policies, "HAProxy", Seen)
    with ExitStack() as stack:
        undo: Callable[[Any], Any] = stack.callback
        policies.start(name, tmp_path / "place", replicas=REPLICAS, undo=undo)
        (text,) = taken
        if name == "nginx least_conn":
            assert text == nginx.DEPLOYED.read_text()
        if name == "HAProxy leastconn":
            assert "balance leastconn" in text
        if POLICIES[name].buffer:
            assert f"tune.bufsize {POLICIES[name].buffer}\n" in text
        assert text.count("agent-port") == (3 if POLICIES[name].agents else 0)
        if POLICIES[name].proxy == "haproxy":
            if not proxies.is_there(haproxy.PROGRAM):
                pytest.skip(f"there is no haproxy: apt-get install {haproxy.PACKAGE}")
            (tmp_path / "haproxy.cfg").write_text(text)
            subprocess.run((haproxy.PROGRAM, "-c", "-q", "-f", str(tmp_path / "haproxy.cfg")), check=True)
