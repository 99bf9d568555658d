"""Locust's users: their connections do not hold back what they send."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests.testkit.serving_process import ROOT, ServingProcess

CONNECTED = """
import socket
import sys

import loadtests.users
from geventhttpclient import HTTPClient

with HTTPClient("127.0.0.1", int(sys.argv[1]))._connection_pool.get_socket() as connection:
    print(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
    print(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(bytes(1)).decode())
"""


@pytest.mark.skipif(not hasattr(socket, "TCP_CONGESTION"), reason="congestion control is chosen on Linux only")
def test_the_connections_of_locust_s_users_are_set_up_so(service: ServingProcess) -> None:
    """In a process of its own, as it changes the sockets of whoever imports it."""
    command = [sys.executable, "-c", CONNECTED, str(service.port)]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["1", "reno"]
