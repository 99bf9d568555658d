"""The generators' connections do not hold back what they send: neither the open loop's nor Locust's."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from loadtests import sockets
from tests.testkit.serving_process import ROOT, ServingProcess

needs_linux = pytest.mark.skipif(
    not hasattr(socket, "TCP_CONGESTION"), reason="congestion control is chosen on Linux only"
)

CONNECTED = """
import socket
import sys

import loadtests.users
from geventhttpclient import HTTPClient

with HTTPClient("127.0.0.1", int(sys.argv[1]))._connection_pool.get_socket() as connection:
    print(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    print(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(bytes(1)).decode())
"""


@needs_linux
def test_nothing_is_paced_or_held_back() -> None:
    with socket.socket() as connection:
        sockets.prepare(connection)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        assert found.rstrip(bytes(1)) == sockets.CONGESTION_CONTROL


@needs_linux
def test_the_connections_of_locust_s_users_are_set_up_so(service: ServingProcess) -> None:
    """In a process of its own, as it changes the sockets of whoever imports it."""
    command = [sys.executable, "-c", CONNECTED, str(service.port)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["1", "reno"]
