"""A blocking HTTP client for single requests, before and after a load or between two answers."""

from __future__ import annotations

import socket
from typing import Final

from topfive_loadgen.http1 import Response, ResponseParser

PATIENCE_SECONDS: Final = 60.0
_PIECE: Final = 65536


def ask(address: tuple[str, int], message: bytes, *, patience_seconds: float = PATIENCE_SECONDS) -> Response:
    """Send one request on a new connection; return its answer. See `exchange`."""
    with socket.create_connection(address, patience_seconds) as connection:
        return exchange(connection, message)


def exchange(connection: socket.socket, message: bytes) -> Response:
    """Send one request and return its answer; raises `OSError` if none comes, `ValueError` if it is not HTTP."""
    connection.sendall(message)
    parser = ResponseParser()
    while piece := connection.recv(_PIECE):
        if response := parser.feed(piece):
            return response
    raise ConnectionResetError("the connection was closed before the answer")
