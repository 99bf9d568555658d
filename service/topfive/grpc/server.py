"""The gRPC server: its port, its limits, its start and stop.

What lives here: the options of gRPC's own core. What does not: the RPCs (`grpc.servicer`).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Mapping
from typing import Any, Final

import grpc

from topfive.access.certificates import Certificate
from topfive.access.connections import LAST_SECONDS
from topfive.config.settings import Settings
from topfive.grpc import health
from topfive.grpc.authentication import Gate
from topfive.grpc.health import Health
from topfive.grpc.ports import cannot_listen
from topfive.grpc.reflection import Reflection
from topfive.grpc.servicer import OPEN, Servicer, path_of
from topfive.observe.logs import RequestLog
from topfive.serving.serving import Serving

logger = logging.getLogger("topfive")

_LOOK_SECONDS: Final = 0.25
"""How often a stop checks whether the last RPC has ended."""
_MILLISECONDS: Final = 1000
_ANSWER_BYTES: Final = 1 << 20
"""Bytes allowed in an answer for each image: far more than it needs."""
_LEEWAY: Final = 1.25
"""A message longer than this many times the limit is refused by gRPC, unread and in its own words. A message between
the limit and this is received, so that `Calls` can refuse it and say what to do."""
_MIN_PING_SECONDS: Final = 10
"""How often a client may ping its connection; with gRPC's default, 300 s, many clients would be disconnected."""


class GrpcServer:
    """Serves `serving` on the port of its settings; `port` is the port that it listens on, 0 before `start`."""

    def __init__(self, serving: Serving, log: RequestLog) -> None:
        self.port = 0
        self._serving = serving
        self._log = log
        self._credentials = _credentials(serving.credentials.certificate)
        self._let_go_at = math.inf
        self._server: Any = None
        self._servicer: Servicer | None = None
        self._health: Health | None = None
        self._stopping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; raises `ConfigurationError` if the port is not free."""
        settings = self._serving.settings
        gates = []
        if self._serving.credentials.keys is not None:
            paths = [path_of(name) for name in OPEN]
            keys, metrics = self._serving.credentials.keys, self._serving.metrics
            gates.append(Gate(keys, open_to_all=[*paths, *health.OPEN], metrics=metrics))
        servicer = Servicer(self._serving, self._log)
        self._health = Health(self._serving)
        handlers = {**servicer.handlers, **self._health.handlers}
        if settings.grpc_reflection:
            handlers |= Reflection(settings).handlers
        server = grpc.aio.server(handlers=[_Handlers(handlers)], interceptors=gates, options=_options(settings))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{host}:{settings.grpc_port}"
        try:
            if self._credentials is None:
                self.port = server.add_insecure_port(address)
            else:
                self.port = server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise cannot_listen(settings, error) from error
        await server.start()
        self._server, self._servicer = server, servicer
        self._serving.gauges.count_grpc_places = lambda: servicer.inferring
        self._serving.metrics.grpc_places_limit.set(settings.grpc_max_requests)
        logger.info("gRPC listening on %s:%d", host, self.port)

    def begin_stop(self) -> None:
        """Refuse new RPCs from now on. RPCs that run have `shutdown_seconds` to end, and less to send their message."""
        if self._server is not None and self._stopping is None:
            stopping = self._server.stop(self._serving.settings.shutdown_seconds)
            self._stopping = asyncio.get_running_loop().create_task(stopping)
            self._let_go_at = asyncio.get_running_loop().time() + LAST_SECONDS + _LOOK_SECONDS
            if self._servicer is not None:
                self._servicer.hurry(LAST_SECONDS)
            if self._health is not None:
                self._health.end()

    async def stop(self) -> None:
        """Return when all RPCs have ended.

        gRPC's core also waits, up to `head_seconds`, for clients that have not begun to speak HTTP/2; we do not.
        """
        self.begin_stop()
        if self._stopping is None or self._servicer is None:
            return
        now = asyncio.get_running_loop().time
        while not self._stopping.done():
            if now() > self._let_go_at and not self._servicer.busy:
                self._stopping.cancel()
            await asyncio.wait([self._stopping], timeout=_LOOK_SECONDS)


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]  # published without types
    """Finds an RPC's handler by its path."""

    def __init__(self, handlers: Mapping[str, Any]) -> None:
        self._handlers = handlers

    def service(self, handler_call_details: Any) -> Any:
        """See class."""
        return self._handlers.get(handler_call_details.method)


def _options(settings: Settings) -> list[tuple[str, int]]:
    idle_seconds = settings.keep_alive_seconds
    return [
        *_age(settings),
        ("grpc.max_receive_message_length", int(settings.grpc_max_message_bytes * _LEEWAY)),
        (
            "grpc.max_send_message_length",
            max(settings.grpc_max_message_bytes, settings.max_images_per_request * _ANSWER_BYTES),
        ),
        # At this bound a connection's own RPCs wait, before RPCs of other connections have to.
        ("grpc.max_concurrent_streams", settings.grpc_max_requests),
        ("grpc.max_allowed_incoming_connections", settings.max_connections),
        ("grpc.server_handshake_timeout_ms", int(settings.head_seconds * _MILLISECONDS)),
        ("grpc.max_connection_idle_ms", idle_seconds * _MILLISECONDS),
        # A client that is gone, or reads nothing, does not answer a ping.
        ("grpc.keepalive_time_ms", idle_seconds * _MILLISECONDS),
        ("grpc.keepalive_timeout_ms", int(settings.send_seconds * _MILLISECONDS)),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _MIN_PING_SECONDS * _MILLISECONDS),
        # Without workers the port is not shared: two processes on it by mistake would each get some of the clients.
        ("grpc.so_reuseport", int(settings.workers > 1)),
    ]


def _age(settings: Settings) -> list[tuple[str, int]]:
    """Options for the age of a connection; the grace for RPCs in flight is longer than any RPC may take."""
    if not settings.grpc_max_connection_age_seconds:
        return []
    grace_seconds = (
        settings.body_seconds
        + settings.max_queue_wait_seconds
        + settings.max_decode_seconds
        + settings.stuck_batch_seconds
    )
    return [
        ("grpc.max_connection_age_ms", max(1, int(settings.grpc_max_connection_age_seconds * _MILLISECONDS))),
        ("grpc.max_connection_age_grace_ms", int(grace_seconds * _MILLISECONDS)),
    ]


def _credentials(certificate: Certificate | None) -> Any:
    """The credentials for TLS, None without it; gRPC's core asks at each handshake whether the certificate changed."""
    if certificate is None:
        return None
    told = certificate.context

    def news() -> Any:
        nonlocal told
        if certificate.context is told:
            return None
        told = certificate.context
        return _pair(certificate)

    return grpc.dynamic_ssl_server_credentials(_pair(certificate), news)


def _pair(certificate: Certificate) -> Any:
    return grpc.ssl_server_certificate_configuration([(certificate.key, certificate.chain)])
