"""Probes and metrics over HTTP: cheap, and answered whatever state the models are in."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response

from topfive.ground.errors import NotReady
from topfive.http.schemas import ErrorSchema, HealthSchema
from topfive.observe.metrics import CONTENT_TYPE
from topfive.serving.serving import Serving

LIVE: Final = ("/v2/health/live", "/healthz", "/livez")
"""Paths of the liveness probe: it says that the process answers. If it fails, the process should be restarted."""
READY: Final = ("/v2/health/ready", "/readyz", "/health", "/ping")
"""Paths of the readiness probe of load balancers. The protocol has each probe's first path; the others are common."""
_NOT_KEPT: Final = {"Cache-Control": "no-store"}


def health_router(serving: Serving) -> APIRouter:
    """The routes `LIVE`, `READY` and `/metrics` of `serving`."""
    router = APIRouter(tags=["health"])

    async def live(response: Response) -> dict[str, object]:
        """200 as long as the process answers."""
        response.headers.update(_NOT_KEPT)
        return {"live": True, "state": serving.lifecycle.state.value}

    async def ready(response: Response) -> dict[str, object]:
        """200 when new requests should be sent here."""
        if not serving.lifecycle.ready:
            raise NotReady(serving.lifecycle.why_not_ready)
        response.headers.update(_NOT_KEPT)
        return {"ready": True, "state": serving.lifecycle.state.value}

    unready: dict[int | str, dict[str, Any]] = {
        503: {"model": ErrorSchema, "description": "Starting, draining, failed, or no model is served."}
    }
    answers: tuple[tuple[tuple[str, ...], Any, dict[int | str, dict[str, Any]]], ...] = (
        (LIVE, live, {}),
        (READY, ready, unready),
    )
    for paths, answer, responses in answers:
        for path in paths:
            router.add_api_route(
                path, answer, response_model=HealthSchema, response_model_exclude_none=True, responses=responses
            )

    @router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}})
    async def metrics() -> Response:
        """Metrics in Prometheus' text format."""
        serving.gauges.publish()
        return Response(serving.metrics.exposition(), media_type=CONTENT_TYPE)

    return router
