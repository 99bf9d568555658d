"""TLS: the certificate of the settings, and a server that shakes hands with whom it accepts.

What lives here: what the event loop's own server would do for TLS, but with each connection in the books of
`service.connections` from its acceptance on. There it is bounded like any other; the loop's server tells nobody of a
connection before its handshake is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from service.errors import ConfigurationError
from service.settings import Settings

if TYPE_CHECKING:
    from service.connections import Connections
    from service.http_protocol import LeanHttpProtocol

logger = logging.getLogger("topfive")

_BURST: Final = 64
"""Most connections accepted before others get a turn."""
_PAUSE_SECONDS: Final = 1.0
"""How long nobody is accepted after the system had no descriptor or memory left for one more."""
_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def server_context(settings: Settings) -> ssl.SSLContext | None:
    """The TLS side of `settings`, None if it asks for none; raises `ConfigurationError` naming the setting."""
    certificate, key = settings.tls_certificate_file, settings.tls_key_file
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        given, missing = (
            ("tls_key_file", "tls_certificate_file")
            if certificate is None
            else (
                "tls_certificate_file",
                "tls_key_file",
            )
        )
        raise ConfigurationError(f"{given} is set, but {missing} is not: TLS needs both, HTTP without TLS neither")
    _check_readable("tls_certificate_file", certificate)
    _check_readable("tls_key_file", key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_verify_locations(certificate)
    except ssl.SSLError as error:
        raise ConfigurationError(f"tls_certificate_file {certificate} holds no certificate in PEM: {error}") from error
    try:
        context.load_cert_chain(certificate, key, password=_refuse_password)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"tls_key_file {key} holds no private key in PEM, or not the one of {certificate}: {error}"
        ) from error
    return context


class Certificate:
    """The certificate and key of `settings` as their files were last read, for whoever shakes hands next.

    Raises `ConfigurationError` as `server_context` does.
    """

    def __init__(self, settings: Settings, certificate: Path, key: Path) -> None:
        self._settings = settings
        self.paths = (certificate, key)
        self.read()

    @classmethod
    def of(cls, settings: Settings) -> Certificate | None:
        """None if `settings` ask for no TLS."""
        server_context(settings)  # first, for it tells of one that lacks the other
        certificate, key = settings.tls_certificate_file, settings.tls_key_file
        return None if certificate is None or key is None else cls(settings, certificate, key)

    def read(self) -> None:
        """Read both files again; if they cannot be used, raise `ConfigurationError` and keep what there is.

        From any thread: who shakes hands meanwhile uses the old pair or the new one, whole.
        """
        before = self._contents()
        context = server_context(self._settings)
        assert context is not None
        chain, key = self._contents()
        if (chain, key) != before:
            raise ConfigurationError("tls_certificate_file and tls_key_file changed while they were read")
        self.context, self.chain, self.key = context, chain, key

    def _contents(self) -> tuple[bytes, bytes]:
        try:
            chain, key = (path.read_bytes() for path in self.paths)
        except OSError as error:
            raise ConfigurationError(f"the TLS file {error.filename} cannot be read: {error.strerror}") from error
        return chain, key


def _check_readable(name: str, path: Path) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{name} {path} cannot be read: {error.strerror}") from error


def _refuse_password() -> NoReturn:
    raise ConfigurationError(
        "tls_key_file holds an encrypted key; give one without a password, readable by this user only"
    )


class TlsServer:
    """Accepts on `listener`, shakes hands, and then lets a protocol of `make_protocol` serve.

    Has the methods that uvicorn calls of an asyncio server.
    """

    def __init__(
        self,
        listener: socket.socket,
        certificate: Certificate,
        *,
        make_protocol: Callable[[], LeanHttpProtocol],
        connections: Connections,
    ) -> None:
        listener.setblocking(False)
        self._listener = listener
        self._certificate = certificate
        self._make_protocol = make_protocol
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
        protocol = self._make_protocol()
        this = asyncio.current_task()
        assert this is not None
        protocol.accepted(this.cancel)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._loop.connect_accepted_socket(lambda: protocol, connection, ssl=self._certificate.context)
        finally:
            if protocol.is_shaking_hands:
                self._connections.lost(protocol)
