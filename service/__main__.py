"""`topfive`, `python -m service`: settings in, a serving process out.

What lives here: the process: signals, exit codes, worker processes. Exit 0 after a clean stop, 1 after a failure of
the service, 2 for a configuration that cannot be served (with a readable line, no traceback).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator

import uvicorn
from uvicorn.supervisors import Multiprocess

from service.app import create_app, create_serving
from service.errors import ConfigurationError
from service.lifecycle import State
from service.logs import configure_logging
from service.settings import Settings, export_settings, load_settings

logger = logging.getLogger("topfive")


class _Server(uvicorn.Server):
    """uvicorn, which on SIGTERM first reports not ready for the grace, then drains, and exits 0 rather than -15."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.on_drain = _nothing
        self.grace_seconds = 0.0
        self._draining = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGTERM and SIGINT on the loop; a second one ends the grace."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self.drain)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def drain(self) -> None:
        """Begin to stop."""
        if self._draining or not self.grace_seconds:
            self.should_exit = True
        else:
            asyncio.get_running_loop().call_later(self.grace_seconds, self._exit)
        self._draining = True
        self.on_drain()

    def _exit(self) -> None:
        self.should_exit = True


def _nothing() -> None:
    pass


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; the exit code."""
    try:
        settings = load_settings(sys.argv[1:] if arguments is None else arguments)
        configure_logging(settings.log_level)
        listener = _listen(settings)
        if settings.workers > 1:
            return _run_workers(settings, listener)
        return _run(settings, [listener])
    except ConfigurationError as error:
        print(f"topfive: {error}", file=sys.stderr)
        return 2


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {settings.host} port {settings.port}: {error}") from error
    listener.set_inheritable(True)
    return listener


def _run(settings: Settings, sockets: list[socket.socket]) -> int:
    """Serve on `sockets` in this process."""
    serving = create_serving(settings, on_fatal=lambda: setattr(server, "should_exit", True))
    server = _Server(_uvicorn_config(settings, create_app(serving)))
    server.grace_seconds = settings.drain_grace_seconds
    server.on_drain = lambda: None if serving.lifecycle.state is State.STOPPED else serving.begin_drain()
    host, port = sockets[0].getsockname()[:2]
    logger.info("listening on http://%s:%d", host, port)
    server.run(sockets)
    if serving.failure is not None:
        return 2 if isinstance(serving.failure, ConfigurationError) else 1
    return 0


def _uvicorn_config(settings: Settings, app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # an ASGI application, typed by its framework
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_seconds)),
        backlog=2048,
        workers=settings.workers,
    )


def _run_workers(settings: Settings, listener: socket.socket) -> int:
    """Serve in several processes, which inherit `listener` and restart when they die."""
    with tempfile.TemporaryDirectory(prefix="topfive-metrics-") as folder:
        export_settings(settings, folder)
        Multiprocess(_uvicorn_config(settings, None), target=_work, sockets=[listener]).run()
    return 0


def _work(sockets: list[socket.socket] | None = None) -> None:
    """A worker process: settings come through the environment."""
    settings = load_settings()
    configure_logging(settings.log_level)
    sys.exit(_run(settings, sockets or []))


if __name__ == "__main__":
    sys.exit(main())
