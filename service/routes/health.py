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
        responses={503: {"model": ErrorSchema, "description": "Starting, draining or failed: send no requests."}},
    )
    async def ready() -> dict[str, object]:
        """200 when new requests should be sent here."""
        state = serving.lifecycle.state.value
        if not serving.lifecycle.ready:
            raise NotReady(f"the service is {state}; send requests to another replica, or retry")
        return {"ready": True, "state": state}

    @router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE: {}}}})
    async def metrics() -> Response:
        """Metrics in Prometheus' text format."""
        serving.publish()
        return Response(serving.metrics.exposition(), media_type=CONTENT_TYPE)

    return router
