"""Whether generator and server share cores: by addresses, processes and their cores."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest

from loadtests import sharing
from loadtests.results import Sharing
from tests.testkit.stored_run import stored_run


def test_a_server_on_the_loopback_is_found_by_the_port_that_it_listens_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert sharing.listener(port) == os.getpid()
        found = sharing.find(f"http://127.0.0.1:{port}")
    assert found.cores == len(os.sched_getaffinity(0))
    assert f"(127.0.0.1, process {os.getpid()})" in found.told


def test_a_port_on_which_nobody_is_seen_to_listen_is_still_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert sharing.listener(port) is None
    found = sharing.find(f"http://localhost:{port}")
    assert found.cores == len(os.sched_getaffinity(0))
    assert "as far as is seen" in found.told


def test_its_process_may_be_named() -> None:
    assert f"process {os.getpid()}" in sharing.find("http://192.0.2.1:1", pid=os.getpid()).told


def test_cores_in_common_are_counted() -> None:
    one = sharing.compared(frozenset({0, 1}), frozenset({1, 2}), quota=False, where="here")
    assert one.cores == 1
    assert one.told.startswith("generator and server share 1 core of this machine (here), so each takes CPU")
    both = sharing.compared(frozenset({0, 1}), frozenset({0, 1}), quota=True, where="here")
    assert both.cores == 2
    assert "share 2 cores of this machine (here), and the quota of one control group" in both.told


def test_cores_of_their_own_are_not_shared() -> None:
    found = sharing.compared(frozenset({0}), frozenset({1}), quota=True, where="here")
    assert found.cores == 0
    assert "on cores of their own: 0 and 1" in found.told


@pytest.mark.parametrize(
    ("url", "cores", "told"),
    [
        pytest.param("http://10.255.255.254:8000", None, "another container on this machine", id="private"),
        pytest.param("http://192.0.2.1:8000", None, "another container", id="documentation"),
        pytest.param("http://[2606::1]:8000", 0, "another machine than the generator's", id="public"),
    ],
)
def test_another_address_is_another_machine_or_perhaps_a_container(url: str, cores: int | None, told: str) -> None:
    found = sharing.find(url)
    assert found.cores == cores
    assert told in found.told


def test_the_share_is_of_the_cpu_time_that_both_used() -> None:
    run = replace(stored_run(), open=(), capacities=())
    cell = run.closed[0]
    assert cell.server is not None
    even = replace(cell, generator_cores=0.5, server=replace(cell.server, cpu_cores=1.5))
    found = sharing.with_share(Sharing(cores=2, told=""), replace(run, closed=[even]))
    assert found.share == pytest.approx(0.25)


def test_no_share_is_told_of_a_server_that_does_not_tell_its_cpu() -> None:
    run = replace(stored_run(), open=(), capacities=())
    silent = replace(run, closed=[replace(cell, server=None) for cell in run.closed])
    assert sharing.with_share(Sharing(cores=2, told=""), silent).share is None
