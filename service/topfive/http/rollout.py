"""`/v1/rollout`: what operators see of the versions on trial, and the switch of the canary.

What lives here: the routes. What does not: what is told (`rollout`).
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request

from topfive.ground.errors import UnknownModel
from topfive.ground.origins import is_foreign, read_origins
from topfive.http.schemas import ErrorSchema, RolloutSchema
from topfive.rollout.canary import Canary
from topfive.serving.serving import Serving


def rollout_router(serving: Serving) -> APIRouter:
    """The routes of `serving` under `/v1/rollout`."""
    router = APIRouter(prefix="/v1/rollout", tags=["rollout"])
    allowed = read_origins(serving.settings.cors_origins)

    async def refuse_foreign_pages(request: Request) -> None:
        if is_foreign(request.headers, allowed):
            raise HTTPException(403, "a page of another site may not turn the canary on or off")

    errors: dict[int | str, dict[str, Any]] = {status: {"model": ErrorSchema} for status in (403, 404)}

    @router.get("", response_model=RolloutSchema)
    async def rollout() -> Any:
        """What is on trial in the process that answers, and the last images on which the shadow disagreed."""
        return _described(serving)

    @router.post(
        "/canary/stop", response_model=RolloutSchema, responses=errors, dependencies=[Depends(refuse_foreign_pages)]
    )
    async def stop() -> Any:
        """Turn the canary off: the live version answers all requests, until a restart or `resume`."""
        _canary(serving).stop()
        return _described(serving)

    @router.post(
        "/canary/resume", response_model=RolloutSchema, responses=errors, dependencies=[Depends(refuse_foreign_pages)]
    )
    async def resume() -> Any:
        """Turn the canary on again, after `stop` or after the service has rolled it back."""
        _canary(serving).resume()
        return _described(serving)

    return router


def _described(serving: Serving) -> dict[str, Any]:
    shadow, canary = serving.trials.shadow, serving.trials.canary
    return {
        "shadow": None if shadow is None else shadow.describe(),
        "canary": None if canary is None else canary.describe(),
    }


def _canary(serving: Serving) -> Canary:
    if serving.trials.canary is None:
        raise UnknownModel("no canary is set; name one in the setting TOPFIVE_CANARY, such as efficientnet_lite0:2@5%")
    return serving.trials.canary
