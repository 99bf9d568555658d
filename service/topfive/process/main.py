"""The main function: it reads the settings, and serves in this process or in worker processes until it is stopped.

The exit code is 0 after a clean stop, 1 after a failure of the service, and 2 for a configuration that cannot be served
(with a readable line, no traceback).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, cast

import uvicorn

from topfive.access.certificates import Certificate, server_context
from topfive.app import create_app, create_grpc_server, create_serving
from topfive.config.environment import (
    export_settings,
    load_settings,
    named_temp_folder,
    shared_metrics_folder,
    wants_colours,
)
from topfive.config.settings import Settings
from topfive.ground.errors import ConfigurationError
from topfive.grpc.ports import claim_port
from topfive.grpc.server import GrpcServer
from topfive.http.server.connection import Connection
from topfive.http.server.cycle import Application
from topfive.http.server.tls import TlsServer
from topfive.machine.descriptors import fit_descriptors
from topfive.observe.logs import configure_logging, texts_for
from topfive.observe.metrics import forget_process
from topfive.observe.metrics_files import metrics_folder
from topfive.observe.standard_error import QueuedFile, queue_standard_error
from topfive.process.announcement import announcement, is_last_of
from topfive.process.lifeline import BEAT_SECONDS, Life, beat, end_with_supervisor, take_signals
from topfive.process.mirroring import keep_mirrored, with_mirror
from topfive.process.signals import signals_of_this_process
from topfive.process.supervisor import Supervisor
from topfive.serving.serving import Serving
from topfive.serving.tracing import check_tracing

logger = logging.getLogger("topfive")

_BACKLOG: Final = 2048
_STOP_MARGIN_SECONDS: Final = 2.0
"""The time beyond its own bounds that a worker process may take to end before it is killed."""
_LEAST_SILENT_SECONDS: Final = 10.0
"""A worker process that is silent for less than this is not killed: the machine may be short of cores or memory."""


class _Server(uvicorn.Server):
    """uvicorn's server; on SIGTERM it first reports not ready for the grace, then drains, and exits 0, not -15."""

    def __init__(
        self,
        config: uvicorn.Config,
        serving: Serving,
        *,
        grpc_server: GrpcServer | None,
        life: Life | None,
    ) -> None:
        super().__init__(config)
        self._serving = serving
        self._grpc_server = grpc_server
        self._life = life
        self._draining = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; with TLS a server of ours listens, which uvicorn stops like its own."""
        certificate = self._serving.credentials.certificate
        if certificate is None:
            await super().startup(sockets)
        else:
            await super().startup([])
            self.servers = [self._tls_server(listener, certificate) for listener in sockets or []]  # type: ignore[misc]  # theirs
        if self._life is not None and self._serving.failure is None:
            self._keep_beating(self._life)

    def _keep_beating(self, life: Life) -> None:
        """Tell the supervisor at intervals that the event loop runs."""
        beat(life)
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._keep_beating, life)

    def _tls_server(self, listener: socket.socket, certificate: Certificate) -> TlsServer:
        connections = self._serving.connections
        make_connection = functools.partial(
            Connection,
            self.config,
            self.server_state,
            self.lifespan.state,
            application=cast("Application", self.config.app),
            connections=connections,
        )
        return TlsServer(listener, certificate, make_connection=make_connection, connections=connections)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on a signal that stops; a second one ends the grace. On the other signals read the files again."""
        loop = asyncio.get_running_loop()
        signals = signals_of_this_process()
        for number in signals.stop:
            loop.add_signal_handler(number, self._drain)
        for number in signals.reload:
            loop.add_signal_handler(number, self._serving.reload)
        if self._life is not None:
            take_signals()
        try:
            yield
        finally:
            for number in (*signals.stop, *signals.reload):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)  # the process ends: one more signal must not make it fail

    def _drain(self) -> None:
        if self._draining:
            self.exit()
            return
        self._draining = True
        self._serving.begin_drain()
        asyncio.get_running_loop().call_later(self._serving.settings.drain_grace_seconds, self.exit)

    def exit(self) -> None:
        """Stop accepting connections, answer the requests in flight, and end."""
        self._serving.hurry()
        if self._grpc_server is not None:
            self._grpc_server.begin_stop()
        self.should_exit = True


def main(arguments: list[str] | None = None) -> int:
    """Run until stopped; returns the exit code."""
    log = queue_standard_error()
    try:
        settings = load_settings(sys.argv[1:] if arguments is None else arguments)
        _configure_logging(settings)
        fitting = fit_descriptors(settings.max_connections, listeners=1 + settings.grpc, backlog=_BACKLOG)
        settings = settings.model_copy(update={"max_connections": fitting})
        server_context(settings)  # a bad certificate is refused here, once, rather than in each worker process
        check_tracing(settings)
        listener = _listen(settings)
        with claim_port(settings) as grpc_port:
            settings = settings.model_copy(update={"grpc_port": grpc_port})
            if settings.workers > 1:
                return _run_workers(settings, listener)
            return _run(settings, [listener], log)
    except ConfigurationError as error:
        return _refuse(error)


def _configure_logging(settings: Settings) -> None:
    texts = texts_for(settings.log_format, sys.stderr, colours=wants_colours())
    configure_logging(settings.log_level, sys.stderr, texts=texts)


def _refuse(error: ConfigurationError) -> int:
    sys.stderr.write(f"topfive: {error}\n")
    return 2


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; choose another with "
            "--port (TOPFIVE_PORT)"
        ) from error
    listener.set_inheritable(True)
    return listener


def _run(settings: Settings, sockets: list[socket.socket], log: QueuedFile, *, life: Life | None = None) -> int:
    """Serve on `sockets` in this process, which logs to `log`; only a worker process has a `life`."""

    def leave() -> None:
        server.exit()

    settings, mirror = with_mirror(settings)
    serving = create_serving(settings, on_fatal=leave, mirror=mirror, keeps_mirror=life is None)
    grpc_server = create_grpc_server(serving)
    app = create_app(serving, grpc_server)
    config = _uvicorn_config(serving, app)
    server = _Server(config, serving, grpc_server=grpc_server, life=life)
    host, port = sockets[0].getsockname()[:2]
    scheme = "http" if serving.credentials.certificate is None else "https"
    logger.info("listening on %s://%s:%d", scheme, host, port)

    def announce() -> None:
        shared = shared_metrics_folder()  # only worker processes have it
        if shared is not None and not is_last_of(settings.workers, Path(shared), os.getpid()):
            return
        grpc_port = None if grpc_server is None else grpc_server.port or settings.grpc_port
        said = announcement(serving, scheme=scheme, port=port, grpc_port=grpc_port)
        if texts_for(settings.log_format, sys.stderr, colours=False) is None:
            logger.info("classifying at %s", said.url, extra=said.fields())
        else:
            logger.info("%s", said.text())

    serving.on_ready = announce
    serving.gauges.count_lost_lines = lambda: log.lost
    server.run(sockets)
    code = _exit_code(serving)
    if serving.is_stuck or serving.leaves_threads:
        # A thread is still inside the runtime, whose destructors would abort the process.
        log.drain()
        os._exit(code)
    return code


def _exit_code(serving: Serving) -> int:
    if isinstance(serving.failure, ConfigurationError):
        return 2
    return 1 if serving.failure is not None or serving.is_stuck else 0


def _uvicorn_config(serving: Serving, app: Application) -> uvicorn.Config:
    connection = functools.partial(Connection, application=app, connections=serving.connections)
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=connection,  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        lifespan="on",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=max(1, round(serving.settings.shutdown_seconds)),
        backlog=_BACKLOG,
    )


def _run_workers(settings: Settings, listener: socket.socket) -> int:
    """Serve in worker processes, which inherit `listener` and are replaced when they die."""
    signals = signals_of_this_process()
    with metrics_folder(named_temp_folder(), workers=settings.workers) as folder:
        export_settings(settings, folder)
        _, mirror = with_mirror(settings)
        if mirror is not None:
            try:
                keep_mirrored(mirror, settings.poll_seconds if settings.model_control == "poll" else None)
            except KeyboardInterrupt:  # what SIGTERM does so early is in `__main__`
                return 0
        return Supervisor(
            _work,
            listener=listener,
            count=settings.workers,
            stop_seconds=settings.drain_grace_seconds + settings.shutdown_seconds + _STOP_MARGIN_SECONDS,
            silent_seconds=max(settings.stuck_batch_seconds, _LEAST_SILENT_SECONDS),
            on_death=lambda pid: forget_process(pid, folder),
            stops=signals.stop,
            passed_on=signals.reload,
        ).run()


def _work(listener: socket.socket, life: Life) -> None:
    """Run a worker process; its settings come through the environment."""
    log = queue_standard_error()
    end_with_supervisor(life)
    settings = load_settings()
    _configure_logging(settings)
    try:
        sys.exit(_run(settings, [listener], log, life=life))
    except ConfigurationError as error:
        sys.exit(_refuse(error))
