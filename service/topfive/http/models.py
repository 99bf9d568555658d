"""The protocol's routes beside inference: metadata, readiness, configuration, statistics, and model control."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from fastapi import APIRouter, Depends, HTTPException, Request, Response

from topfive.ground.errors import MalformedRequest, NotReady
from topfive.ground.origins import is_foreign, read_origins
from topfive.ground.types import LET_GO
from topfive.http.bodies.reading import check_length, declared_length, read_body
from topfive.http.schemas import (
    ErrorSchema,
    IndexEntrySchema,
    ModelMetadataSchema,
    ModelReadySchema,
    ServerMetadataSchema,
    StatisticsSchema,
)
from topfive.models.served import ServedModel
from topfive.protocol import descriptions
from topfive.protocol.parameters import flag_of, refuse_model_files
from topfive.protocol.requests import version_of
from topfive.request.admission import HeldBytes
from topfive.serving.serving import Serving

_MAX_BODY_BYTES: Final = 1 << 20
_MODEL: Final = "/v2/models/{model}"
_VERSION: Final = _MODEL + "/versions/{version}"
_OPTIONAL_BODY: Final = {"requestBody": {"content": {"application/json": {"schema": {"type": "object"}}}}}


def _errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": ErrorSchema} for status in statuses}


def models_router(serving: Serving) -> APIRouter:
    """The routes of `serving` under `/v2`, except those of health and inference."""

    async def any_version(model: str) -> ServedModel:
        return serving.models.find(model)

    async def one_version(model: str, version: str) -> ServedModel:
        return serving.models.find(model, version_of(version))

    router = APIRouter(tags=["open inference protocol"])
    router.include_router(_metadata_router(serving))
    router.include_router(_statistics_router(serving))
    router.include_router(_model_router(serving, _MODEL, any_version))
    router.include_router(_model_router(serving, _VERSION, one_version))
    router.include_router(_repository_router(serving))
    return router


def _metadata_router(serving: Serving) -> APIRouter:
    router = APIRouter()

    @router.get("/v2", response_model=ServerMetadataSchema)
    @router.get("/v2/", include_in_schema=False)
    async def server_metadata() -> Any:
        """The server and the extensions of the protocol that it offers."""
        return descriptions.server_metadata(serving.settings)

    return router


def _statistics_router(serving: Serving) -> APIRouter:
    router = APIRouter(responses=_errors(400, 404, 503))

    @router.get("/v2/models/stats", response_model=StatisticsSchema)
    async def all_statistics() -> Any:
        """Statistics of all models since the start."""
        return descriptions.model_statistics(serving.models, serving.settings)

    @router.get(_MODEL + "/stats", response_model=StatisticsSchema)
    async def model_statistics(model: str) -> Any:
        """Statistics of all served versions of a model."""
        name = serving.models.find(model).name
        found = [served for served in serving.models if served.name == name]
        return descriptions.model_statistics(found, serving.settings)

    @router.get(_VERSION + "/stats", response_model=StatisticsSchema)
    async def version_statistics(model: str, version: str) -> Any:
        """Statistics of one version."""
        return descriptions.model_statistics([serving.models.find(model, version_of(version))], serving.settings)

    return router


def _model_router(serving: Serving, path: str, find: Callable[..., Awaitable[ServedModel]]) -> APIRouter:
    """Routes under `path`, which names the model that `find` finds."""
    router = APIRouter(prefix=path, responses=_errors(404, 503))
    found = Depends(find)

    @router.get("", response_model=ModelMetadataSchema)
    async def metadata(served: ServedModel = found) -> Any:
        """The model's tensors; shapes have the batch dimension first."""
        versions = [other.version for other in serving.models if other.name == served.name]
        return descriptions.model_metadata(served, versions)

    @router.get("/ready", response_model=ModelReadySchema)
    async def ready(served: ServedModel = found) -> Any:
        """200 when requests for this model should be sent here."""
        if not serving.lifecycle.ready:
            raise NotReady(serving.lifecycle.why_not_ready)
        return {"name": served.name, "ready": True}

    @router.get("/config", response_model=dict[str, Any])
    async def config(served: ServedModel = found) -> Response:
        """The model's configuration, an `inference.ModelConfig`, as JSON.

        Its parameter `preprocessing`, if it has one, is what the graph says that it does to an image, as
        `topfive import` wrote it.
        """
        return Response(orjson.dumps(descriptions.model_config(served)), media_type="application/json")

    return router


def _repository_router(serving: Serving) -> APIRouter:
    router = APIRouter(prefix="/v2/repository", responses=_errors(400, 404, 413, 429, 503))
    allowed = read_origins(serving.settings.cors_origins)

    async def refuse_foreign_pages(request: Request) -> None:
        if is_foreign(request.headers, allowed):
            raise HTTPException(
                403,
                "a page of another site may not change which models are served; ask from a page of this service, or "
                "with a program that is no browser, or have the page's origin added to cors_origins",
            )

    changing: Final[dict[str, Any]] = {
        "openapi_extra": _OPTIONAL_BODY,
        "response_class": Response,
        "responses": _errors(403),
        "dependencies": [Depends(refuse_foreign_pages)],
    }

    @router.post("/index", response_model=list[IndexEntrySchema], openapi_extra=_OPTIONAL_BODY)
    async def index(request: Request) -> Any:
        """Every model in the repository, with every known version, and whether it is served."""
        ready = (await _body(request, serving)).get("ready", False)
        if not isinstance(ready, bool):
            raise MalformedRequest("'ready' must be true or false")
        entries = serving.control.index(ready=ready)
        return [
            {"name": entry.name, "version": entry.version, "state": entry.state, "reason": entry.reason}
            for entry in entries
        ]

    @router.post("/models/{model}/load", **changing)
    async def load(model: str, request: Request) -> Response:
        """Load what the repository now holds for this model, and serve it; the answer comes when it is warm."""
        refuse_model_files(_parameters(await _body(request, serving)))
        await serving.control.load(model)
        return Response()

    @router.post("/models/{model}/unload", **changing)
    async def unload(model: str, request: Request) -> Response:
        """Stop serving this model; requests that came before are still answered."""
        dependents = flag_of(_parameters(await _body(request, serving)), "unload_dependents")
        await serving.control.unload(model, unload_dependents=dependents)
        return Response()

    return router


async def _body(request: Request, serving: Serving) -> dict[str, Any]:
    """The JSON object of a request's body; empty if it has no body. Its bytes are charged while it comes, as any."""
    length = declared_length(request.headers.get("content-length", "").encode("latin-1") or None)
    check_length(length, _MAX_BODY_BYTES)
    with HeldBytes(serving.admission) as held:
        if LET_GO in request.scope:
            held.expect(request.scope[LET_GO])
        body = await read_body(request.receive, length=length, limit=_MAX_BODY_BYTES, charge=held.charge)
    try:
        given = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise MalformedRequest("the body must be a JSON object, or empty")
    return given


def _parameters(body: dict[str, Any]) -> dict[str, Any]:
    parameters = body.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise MalformedRequest("'parameters' must be an object")
    return parameters
