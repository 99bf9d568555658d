"""TLS: a server that shakes hands with the clients that it accepts.

What lives here: what the event loop's own server would do for TLS, but with each connection in the books of
`topfive.access.connections` from its acceptance on. There it is bounded like any other; the loop's server tells nobody
of a connection before its handshake is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from topfive.access.certificates import Certificate

if TYPE_CHECKING:
    from topfive.access.connections import Connections
    from topfive.http.server.connection import Connection

logger = logging.getLogger("topfive")

_BURST: Final = 64
"""Most connections accepted before others get a turn."""
_PAUSE_SECONDS: Final = 1.0
"""How long nobody is accepted after the system had no descriptor or memory left for one more."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class TlsServer:
    """Accepts on `listener`, shakes hands, and then lets a protocol of `make_connection` serve.

    Has the methods that uvicorn calls of an asyncio server.
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
        self._handshakes: set[asyncio.Task[None]] = set()
        self._listen_again: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Accept nobody any more, and leave who is still shaking hands."""
        if self._listen_again is not None:
            self._listen_again.cancel()
        self._loop.remove_reader(self._listener)
        for handshake in self._handshakes:
            handshake.cancel()

    async def wait_closed(self) -> None:
        """Return when all handshakes have ended."""
        if self._handshakes:
            await asyncio.wait(self._handshakes)

    def _listen(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_BURST):
            try:
                connection, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                logger.error("cannot accept connections for %.0f s: %s", _PAUSE_SECONDS, error)
                self._loop.remove_reader(self._listener)
                self._listen_again = self._loop.call_later(_PAUSE_SECONDS, self._listen)
                return
            handshake = self._loop.create_task(self._shake_hands(connection))
            self._handshakes.add(handshake)
            handshake.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: socket.socket) -> None:
        """End when the handshake does; the books end it by cancelling, the client by sending nonsense or leaving."""
        connection.setblocking(False)
        protocol = self._make_connection()
        this = asyncio.current_task()
        assert this is not None
        protocol.accepted(this.cancel)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._certificate.context)
        finally:
            if protocol.is_shaking_hands:
                self._connections.lost(protocol)
