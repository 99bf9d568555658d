"""Machines on a bridge: they answer, say nothing once unplugged, and leave nothing behind."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing

import pytest

from benchmarks import namespaces
from benchmarks.namespaces import Network

pytestmark = pytest.mark.skipif(namespaces.missing() is not None, reason=namespaces.missing() or "")


def test_what_is_unplugged_says_nothing() -> None:
    """Until then its kernel refuses at once what nobody listens to; it is reached again when it is plugged in."""
    with closing(Network(2)) as network:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(network.address(0), timeout=5)
            network.unplug(0)
            with pytest.raises((TimeoutError, OSError), match=r"timed out|No route"):
                socket.create_connection(network.address(0), timeout=0.2)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(network.address(1), timeout=5)
            network.plug(0)


def test_a_program_inside_has_the_address_of_its_machine_only() -> None:
    with closing(Network(1)) as network:
        listing = subprocess.run(
            (*network.inside(0), "ip", "-brief", "address"), capture_output=True, text=True, check=True
        )
        names = {line.split()[0].partition("@")[0]: line for line in listing.stdout.splitlines()}
        assert names.keys() == {"lo", "eth0"}
        assert network.address(0)[0] in names["eth0"]


def test_nothing_is_left_behind() -> None:
    network = Network(2)
    there = subprocess.run(("ip", "netns", "list"), capture_output=True, text=True, check=True).stdout
    name = network.inside(0)[3]
    assert name in there
    network.close()
    assert name not in subprocess.run(("ip", "netns", "list"), capture_output=True, text=True, check=True).stdout
    links = subprocess.run(("ip", "-brief", "link"), capture_output=True, text=True, check=True).stdout
    assert name.partition("-")[0] not in links
