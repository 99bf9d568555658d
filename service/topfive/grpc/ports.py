"""Finds the gRPC server's port before the server starts, and checks that it is free.

gRPC binds its port itself, and cannot be given a socket. Several worker processes each bind the same port; so the
supervisor finds a port for them, and keeps it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError


@contextlib.contextmanager
def claim_port(settings: Settings) -> Iterator[int]:
    """The port to serve gRPC on, checked before anything is loaded; raises `ConfigurationError`.

    If one process may choose its port, it is 0. Worker processes get a real port, which they can bind as long as the
    `with` block lasts.
    """
    if not settings.grpc:
        yield settings.grpc_port
        return
    # First without sharing: else two services that share one port by mistake would each get some of the clients.
    with _bound(settings, settings.grpc_port, shared=False) as alone:
        port = alone.getsockname()[1]
    if settings.workers == 1:
        yield settings.grpc_port
        return
    with _bound(settings, port, shared=True):  # this socket does not listen, so it gets no client
        yield port


def cannot_listen(settings: Settings, reason: object) -> ConfigurationError:
    """The error that tells the operator that the port is not free."""
    return ConfigurationError(
        f"cannot listen for gRPC on {settings.host} port {settings.grpc_port}: {reason}; choose another with "
        "--grpc-port (TOPFIVE_GRPC_PORT), or serve HTTP alone with --no-grpc (TOPFIVE_GRPC=false)"
    )


def _bound(settings: Settings, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    holder = socket.socket(family, socket.SOCK_STREAM)
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind((settings.host, port))
    except OSError as error:
        holder.close()
        raise cannot_listen(settings, error) from error
    return holder
