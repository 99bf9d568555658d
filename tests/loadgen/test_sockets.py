"""The generators' connections do not hold back what they send."""

from __future__ import annotations

import socket

import pytest

from topfive_loadgen import sockets

needs_linux = pytest.mark.skipif(
    not hasattr(socket, "TCP_CONGESTION"), reason="congestion control is chosen on Linux only"
)


@needs_linux
def test_nothing_is_paced_or_held_back() -> None:
    with socket.socket() as connection:
        sockets.prepare(connection)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
        assert found.rstrip(bytes(1)) == sockets.CONGESTION_CONTROL
