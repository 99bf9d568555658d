"""The port of the gRPC server before there is one: whether it can be had, and which it is.

gRPC binds its port itself, and cannot be handed a socket. Several worker processes bind the same port, each by itself;
so who starts them finds a port for them, and keeps it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError


@contextlib.contextmanager
def claim_port(settings: Settings) -> Iterator[int]:
    """The port to serve gRPC on, looked at before anything is loaded; raises `ConfigurationError`.

    Of one process that may choose its port it is 0; for worker processes it is a real one, and theirs to bind for the
    length of the `with` block.
    """
    if not settings.grpc:
        yield settings.grpc_port
        return
    # Alone first: two services that both share their port among their own processes would each get some clients.
    with _bound(settings, settings.grpc_port, shared=False) as alone:
        port = alone.getsockname()[1]
    if settings.workers == 1:
        yield settings.grpc_port
        return
    with _bound(settings, port, shared=True):  # it does not listen, so no client is given to it
        yield port


def cannot_listen(settings: Settings, reason: object) -> ConfigurationError:
    """What the operator is told if the port cannot be had."""
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
