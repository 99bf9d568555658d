"""The ASGI application. It makes all objects of the service and passes them on; no module holds global state."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from topfive import __version__
from topfive.access.tenants import Tenants
from topfive.backends.base import BackendFactory
from topfive.backends.embedded import EmbeddedFactory
from topfive.backends.null import NullFactory
from topfive.backends.triton.backend import TritonFactory
from topfive.config.environment import shared_metrics_folder, wants_colours
from topfive.config.settings import Settings
from topfive.ground.clock import Clock, MonotonicClock
from topfive.ground.errors import ConfigurationError, TopfiveError
from topfive.ground.origins import read_origins
from topfive.grpc.server import GrpcServer
from topfive.http import classify, infer
from topfive.http.authentication import Gate
from topfive.http.classify import ClassifyHandler
from topfive.http.cors import Cors
from topfive.http.docs import add_docs, classify_route, corrected, infer_route
from topfive.http.endpoint import Endpoint
from topfive.http.error_responses import error_headers, status_of
from topfive.http.health import health_router
from topfive.http.infer import InferHandler
from topfive.http.models import models_router
from topfive.http.page import page_router
from topfive.http.prefix import without
from topfive.http.rollout import rollout_router
from topfive.machine.cores import share_of_cores, usable_cores
from topfive.machine.cpu_features import dot_products_of_bytes
from topfive.models.following import Following
from topfive.observe.logs import RequestLog, texts_for
from topfive.observe.metrics import Metrics
from topfive.repository.graph_choice import GraphChoice, graph_choice
from topfive.repository.mirror import Mirror
from topfive.repository.reading import Repository, StoredModel, check_some_int8
from topfive.serving.serving import Serving
from topfive.serving.tracing import make_tracing

logger = logging.getLogger("topfive")


def create_serving(
    settings: Settings,
    *,
    on_fatal: Callable[[], None],
    clock: Clock | None = None,
    mirror: Mirror | None = None,
    keeps_mirror: bool = True,
) -> Serving:
    """The service for `settings`, not started; raises `ConfigurationError` for faults found before models load.

    `mirror`: that of the store which the repository comes from; this process fetches for it if it `keeps_mirror`.
    """
    cores = share_of_cores(usable_cores(settings.cores), settings.workers)
    clock = clock or MonotonicClock()
    factory = _backend_factory(settings, cores, clock)
    repository = Repository(
        settings.served_repository, on_triton=settings.backend == "triton", choice=_graph_choice(settings, factory)
    )

    def read() -> dict[str, StoredModel]:
        stored = repository.read(may_be_empty=settings.model_control != "none")
        if settings.precision == "int8" and stored:
            check_some_int8(stored.values())
        return stored

    following = Following(mirror, read) if mirror is not None and keeps_mirror else None
    serving = Serving(
        settings,
        repository=repository,
        stored={} if following is not None else read(),
        following=following,
        factory=factory,
        cores=cores,
        clock=clock,
        metrics=Metrics(shared_folder=shared_metrics_folder()),
        on_fatal=on_fatal,
        tracing=make_tracing(settings, clock.now),
        tenants=Tenants(folder=_accounts_folder(settings), now=clock.now),
    )
    if mirror is not None:
        serving.gauges.mirror = mirror.folder
    return serving


def _accounts_folder(settings: Settings) -> Path | None:
    """Where it is kept what tenants have spent: worker processes share it, and a named folder outlives them."""
    shared = shared_metrics_folder()
    return settings.quota_folder or (None if shared is None else Path(shared))


def _graph_choice(settings: Settings, factory: BackendFactory) -> GraphChoice:
    has_gpu = isinstance(factory, EmbeddedFactory) and factory.has_gpu
    return graph_choice(settings.precision, dot_products_of_bytes(), backend=settings.backend, has_gpu=has_gpu)


def _backend_factory(settings: Settings, cores: int, clock: Clock) -> BackendFactory:
    if settings.backend == "null":
        return NullFactory()
    embedded = EmbeddedFactory(
        cores=cores,
        alone_threads=settings.alone_threads,
        load_seconds=settings.load_seconds,
        engine_cache=_engine_cache(settings),
        clock=clock,
    )
    match settings.backend:
        case "triton":
            assert settings.triton_url is not None
            return TritonFactory(
                settings.triton_url,
                embedded=embedded,
                slots=settings.triton_slots,
                timeout_seconds=settings.triton_timeout_seconds,
            )
        case _:
            return embedded


def _engine_cache(settings: Settings) -> Path | None:
    """The folder for TensorRT's engines; in the model repository they would look like models that have changed."""
    folder, repository = settings.engine_cache_folder, settings.served_repository
    if folder is not None and folder.resolve().is_relative_to(repository.resolve()):
        raise ConfigurationError(
            f"engine_cache_folder '{folder}' is within the model repository '{repository}'; name a folder outside of it"
        )
    return folder


def create_grpc_server(serving: Serving) -> GrpcServer | None:
    """The gRPC server of `serving`, not started; None if gRPC is off in the settings.

    Raises `ConfigurationError` for faults found before it listens.
    """
    settings = serving.settings
    return GrpcServer(serving, _request_log(settings)) if settings.grpc else None


def create_app(serving: Serving, grpc_server: GrpcServer | None = None) -> FastAPI:
    """The HTTP API of `serving`. Its lifespan starts and stops `serving` and `grpc_server`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        serving.start()
        try:
            # A single process listens at once, so that it answers the liveness probe while its models load. A worker
            # process must not: it would take requests that other worker processes could already answer.
            if serving.settings.workers > 1:
                await serving.wait_until_loaded()
            if grpc_server is not None:
                await _start(grpc_server, serving)
            yield
        finally:
            if grpc_server is not None:
                await grpc_server.stop()
            await serving.stop()

    app = _App(
        title="topfive",
        version=__version__,
        summary="Any-size uint8 images in, five labels with their probabilities out.",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    settings = serving.settings
    app.prefix = settings.root_path
    app.cors = Cors(read_origins(settings.cors_origins)) if settings.cors_origins else None
    app.gate = None
    if serving.credentials.keys is not None:
        app.gate = Gate(serving.credentials.keys, metrics_need_key=settings.metrics_need_key, metrics=serving.metrics)
    log = _request_log(settings)
    app.classify = Endpoint(serving, log, route=classify.PATH, handler=ClassifyHandler(serving))
    app.infer = Endpoint(serving, log, route=infer.ROUTE, handler=InferHandler(serving))
    app.router.routes.append(classify_route(classify.PATH, app.classify))
    app.router.routes.extend(infer_route(path, app.infer) for path in infer.ROUTES)
    app.include_router(health_router(serving))
    app.include_router(models_router(serving))
    app.include_router(rollout_router(serving))
    app.include_router(page_router(lambda: None if grpc_server is None else grpc_server.port))
    add_docs(app, root_path=settings.root_path)
    _add_error_handlers(app)
    return app


async def _start(grpc_server: GrpcServer, serving: Serving) -> None:
    try:
        await grpc_server.start()
    except ConfigurationError as error:
        serving.fail(error)


def _request_log(settings: Settings) -> RequestLog:
    texts = texts_for(settings.log_format, sys.stderr, colours=wants_colours())
    return RequestLog(enabled=settings.log_requests, stream=sys.stderr.buffer, texts=texts)


class _App(FastAPI):
    """FastAPI, but the two inference routes bypass its eight layers of middleware to save microseconds."""

    classify: ASGIApp
    infer: ASGIApp
    gate: Gate | None
    cors: Cors | None
    prefix: str

    def openapi(self) -> dict[str, Any]:
        """The document at `/openapi.json`."""
        if not self.openapi_schema:
            self.openapi_schema = corrected(super().openapi())
        return self.openapi_schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        if self.cors is not None:
            if await self.cors.answers(scope, send):
                return
            send = self.cors.adding(scope, send)
        if self.prefix:
            scope = without(scope, self.prefix)
        path, method = scope["path"], scope["method"]
        if self.gate is not None and not self.gate.lets_in(scope):
            await self.gate.refuse(send)
        elif method == "POST" and path == classify.PATH:
            await self.classify(scope, receive, send)
        elif method == "POST" and infer.is_infer(path):
            await self.infer(scope, receive, send)
        elif method == "HEAD":  # FastAPI does not derive HEAD from GET; the server leaves the body out
            await super().__call__({**scope, "method": "GET"}, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _add_error_handlers(app: FastAPI) -> None:
    """Give all errors on the other routes, including the framework's own, the shape of this service's errors."""

    async def own(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, TopfiveError)
        if status_of(error) == 500:
            return await defect(request, error)
        headers = {name.decode(): value.decode() for name, value in error_headers(error)}
        return JSONResponse({"error": str(error), "code": error.code}, status_of(error), headers)

    async def framework(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = {403: "foreign_page", 404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        message = f"{request.method} {request.url.path[:200]}: {error.detail}; /docs lists what is served"
        return JSONResponse({"error": message, "code": code}, error.status_code, error.headers)

    async def validation(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error), "code": "malformed_request"}, 400)

    async def defect(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": "internal error; the log has the details", "code": "internal"}, 500)

    app.add_exception_handler(TopfiveError, own)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, defect)
