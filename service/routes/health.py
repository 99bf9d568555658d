"""Probes and metrics: cheap, and answered whatever the models do."""

from __future__ import annotations

from fastapi import APIRouter, Response

from service.errors import NotReady
from service.metrics import CONTENT_TYPE
from service.routes.schemas import ErrorSchema, HealthSchema
from service.serving import Serving


def health_router(serving: Serving) -> APIRouter:
    """Routes `/v2/health/live`, `/v2/health/ready` and `/metrics` of `serving`."""
    router = APIRouter(tags=["health"])

    @router.get("/v2/health/live", response_model=HealthSchema, response_model_exclude_none=True)
    async def live() -> dict[str, object]:
        """200 as long as the process answers."""
        return {"live": True, "state": serving.lifecycle.state.value}

    @router.get(
        "/v2/health/ready",
        response_model=HealthSchema,
        response_model_exclude_none=True,
        responses={
            503: {
                "model": ErrorSchema,
                "description": "Starting, draining, failed, or no model is served.",
            }
        },
    )
    async def ready() -> dict[str, object]:
        """200 when new requests should be sent here."""
        if not serving.lifecycle.ready:
            raise NotReady(serving.lifecycle.why_not_ready)
        return {"ready": True, "state": serving.lifecycle.state.value}

    @router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}})
    async def metrics() -> Response:
        """Metrics in Prometheus' text format."""
        serving.publish()
        return Response(serving.metrics.exposition(), media_type=CONTENT_TYPE)

    return router
