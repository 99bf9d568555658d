"""The generators' addresses and sockets, set up to send at once and as fast as the server takes it.

Delays of the client's kernel are not the server's latency, so two of them are switched off. Nagle's algorithm holds a
small piece back until the one before is acknowledged. BBR, the default on some machines, paces by earlier rates: on a
connection that was idle for a moment, half a megabyte goes out in pieces of 64 KiB, many milliseconds apart. Photos of
560 kB at 50 requests per second, on two shared cores, interleaved: p99 48.6 and 48.6 ms with BBR, 27.0 and 29.9 ms
without.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import SplitResult, urlsplit

CONGESTION_CONTROL: Final = b"reno"
"""It has no pacing, and every Linux allows it without privileges."""
PROBE_SECONDS: Final = 5.0
PORTS: Final = {"http": 80, "https": 443}


def prepare(connection: socket.socket) -> None:
    """Set a TCP socket up. macOS cannot choose the congestion control, but has no BBR either."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_CONGESTION"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL)


@dataclass(frozen=True, slots=True)
class Address:
    """An address to connect to, with its TLS context."""

    family: socket.AddressFamily
    where: tuple[str, int]
    name: str
    context: ssl.SSLContext | None

    @classmethod
    def of(cls, url: str, *, cafile: str | None) -> Address:
        """Look the host up once, so that no request waits for it; prefer the first address that accepts connections."""
        parts = urlsplit(url)
        found = [
            (family, cast("tuple[str, int]", address))
            for family, _, _, _, address in socket.getaddrinfo(parts.hostname, _port(parts), type=socket.SOCK_STREAM)
        ]
        context = ssl.create_default_context(cafile=cafile) if parts.scheme == "https" else None
        for family, address in found:
            with suppress(OSError), socket.create_connection(address[:2], PROBE_SECONDS):
                return cls(family, address, parts.hostname or "", context)
        return cls(*found[0], parts.hostname or "", context)


def _port(parts: SplitResult) -> int:
    return parts.port or PORTS[parts.scheme]
