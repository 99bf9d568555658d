"""The TLS server: an accept loop that registers each connection in the books before its handshake.

So a handshake is bounded like everything else that clients do. The event loop's own server reports a connection only
after its handshake: a client that never shakes hands would hold a file descriptor that no bound counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from topfive.access.certificates import Certificate

if TYPE_CHECKING:
    from topfive.access.connections import Connections
    from topfive.http.server.connection import Connection

logger = logging.getLogger("topfive")

_PAUSE_SECONDS: Final = 1.0
"""How long the server stops accepting after an error of the system, such as no free descriptors or memory."""


class TlsServer:
    """Accepts on `listener`, shakes hands, and hands over to a connection made by `make_connection`.

    It has the methods that uvicorn calls on an asyncio server.
    """

    def __init__(
        self,
        listener: socket.socket,
        certificate: Certificate,
        *,
        make_connection: Callable[[], Connection],
        connections: Connections,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._certificate = certificate
        self._make_connection = make_connection
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._tasks = {self._loop.create_task(self._accept())}

    def close(self) -> None:
        """Stop accepting, and cancel the handshakes under way."""
        for task in self._tasks:
            task.cancel()

    async def wait_closed(self) -> None:
        """Return when all handshakes have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self) -> None:
        while True:
            try:
                accepted, _ = await self._loop.sock_accept(self._listener)
            except ConnectionAbortedError:  # the client went away before it was accepted
                continue
            except OSError as error:
                logger.error("cannot accept connections for %.0f s: %s", _PAUSE_SECONDS, error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            handshake = self._loop.create_task(self._shake_hands(accepted))
            self._tasks.add(handshake)
            handshake.add_done_callback(self._tasks.discard)

    async def _shake_hands(self, accepted: socket.socket) -> None:
        """Return when the handshake ends. The books end an overdue one by cancelling this task."""
        accepted.setblocking(False)
        connection = self._make_connection()
        this = asyncio.current_task()
        assert this is not None
        connection.accepted(this.cancel)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._loop.connect_accepted_socket(lambda: connection, accepted, ssl=self._certificate.context)
        finally:
            if connection.is_shaking_hands:
                self._connections.lost(connection)
