"""OpenAPI and the page at `/docs`; the page's assets come from this package, not from a CDN."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from topfive.ground import errors
from topfive.http.authentication import OPEN
from topfive.http.error_responses import STATUS
from topfive.http.parameters import JSON, MULTIPART, RAW
from topfive.http.prefix import server_url
from topfive.http.schemas import (
    AnswerSchema,
    ErrorSchema,
    InferRequestSchema,
    InferResponseSchema,
    InstancesAnswerSchema,
    ListedAnswerSchema,
)
from topfive.images.decoding import ENCODED_MEDIA_TYPES

ASSETS: Final = Path(__file__).parent / "static"
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {"schema": {"type": "object", "required": ["image"], "properties": {"image": _BINARY["schema"]}}}
_B64: Final = {
    "type": "object",
    "required": ["b64"],
    "properties": {"b64": {"type": "string", "format": "byte", "description": "An image file in base64."}},
}
_BASE64_JSON: Final = {
    "schema": {
        "oneOf": [
            {"type": "object", "required": ["image"], "properties": {"image": _B64}},
            *(
                {
                    "type": "object",
                    "required": [several],
                    "properties": {several: {"type": "array", "minItems": 1, "items": _B64}},
                }
                for several in ("images", "instances")
            ),
        ]
    }
}


async def classify(
    model: Annotated[
        str | None, Query(description="Default: the one that default_model sets, else the only ensemble.")
    ] = None,
    version: Annotated[
        int | None, Query(ge=1, description="Default: the highest one served. An ensemble has its classifier's.")
    ] = None,
    timeout_ms: Annotated[int | None, Query(ge=1, description="Give up with 504 after so long, end to end.")] = None,
    height: Annotated[int | None, Query(ge=1, description="Pixels; for raw bodies only, as width and count.")] = None,
    width: Annotated[int | None, Query(ge=1)] = None,
    count: Annotated[int | None, Query(ge=1, description="So many images of one size in one raw body.")] = None,
    top: Annotated[int | None, Query(ge=1, description="So many labels an image, of those that the graph has.")] = None,
    threshold: Annotated[float | None, Query(ge=0, le=1, description="Leave out labels less probable.")] = None,
) -> None:
    """The best labels with their probabilities, for one image or for each of several.

    The body is an image file (JPEG, PNG, WebP, GIF, BMP, AVIF, TIFF), whatever its Content-Type says; raw uint8 RGB
    pixels, row by row, with `height` and `width`; a form with one file or several, under any names; or JSON with
    image files in base64. If the request has `count`, several files, or a list in its JSON, the answer holds a list,
    `images`, in the same order. How many labels an image gets is the model's choice: mostly five, fewer of a model
    that has fewer, and perhaps none of one that gives all labels above a threshold. The `Server-Timing` header says
    where the time went.
    """


async def infer(model: str, request: InferRequestSchema) -> None:
    """Inference by the Open Inference Protocol, with its binary tensor extension, on the model's highest version.

    The body is a JSON object, or a JSON object of `Inference-Header-Content-Length` bytes followed by the binary
    tensor. The input is UINT8 [images, height, width, 3], or BYTES [images] whose elements are image files (in JSON,
    as base64); `GET /v2/models/{model}` gives its name. `parameters` may hold `timeout` (microseconds), `priority` and
    `binary_data_output`.
    """


async def infer_version(model: str, version: str, request: InferRequestSchema) -> None:
    """Inference on one version of the model; otherwise the same as without a version."""


class DocumentedRoute(APIRoute):
    """A FastAPI route for the documentation only: its signature describes the route, a plain ASGI app does the work."""

    def __init__(self, path: str, documentation: Any, asgi: ASGIApp, **options: Any) -> None:
        super().__init__(path, documentation, **options)
        self.app = asgi


def classify_route(path: str, asgi: ASGIApp) -> DocumentedRoute:
    """The documented route of `asgi` at `path`."""
    content = dict.fromkeys((*ENCODED_MEDIA_TYPES, RAW), _BINARY) | {MULTIPART: _FORM, JSON: _BASE64_JSON}
    return DocumentedRoute(
        path,
        classify,
        asgi,
        methods=["POST"],
        tags=["classification"],
        response_model=AnswerSchema | InstancesAnswerSchema | ListedAnswerSchema,
        responses=_error_responses(),
        openapi_extra={"requestBody": {"required": True, "content": content}},
    )


def infer_route(path: str, asgi: ASGIApp) -> DocumentedRoute:
    """The documented route of `asgi` at `path`, with or without a version."""
    return DocumentedRoute(
        path,
        infer_version if "{version}" in path else infer,
        asgi,
        methods=["POST"],
        tags=["open inference protocol"],
        response_model=InferResponseSchema,
        responses={200: {"content": {RAW: _BINARY}}, **_error_responses()},
        openapi_extra={
            "requestBody": {"content": {RAW: _BINARY}},
            "parameters": [
                {
                    "name": "Inference-Header-Content-Length",
                    "in": "header",
                    "required": False,
                    "description": "Bytes of JSON at the start of the body; without it, all of it is.",
                    "schema": {"type": "integer", "minimum": 0},
                }
            ],
        },
    )


def add_docs(app: FastAPI, *, root_path: str = "") -> None:
    """Serve `/openapi.json`, `/docs` and its assets, with addresses that hold behind any prefix of a proxy."""

    async def openapi(request: Request) -> JSONResponse:
        document = {**app.openapi(), "servers": [{"url": server_url(request.headers, root_path)}]}
        return JSONResponse(document, headers={"Vary": "X-Forwarded-Prefix"})

    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=app.title,
            swagger_js_url="static/swagger/swagger-ui-bundle.js",
            swagger_css_url="static/swagger/swagger-ui.css",
            swagger_favicon_url="static/swagger/favicon-32x32.png",
        )

    app.add_api_route("/openapi.json", openapi, include_in_schema=False)
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=ASSETS), name="static")


def corrected(document: dict[str, Any]) -> dict[str, Any]:
    """FastAPI's `document` of the routes, without FastAPI's own 422, which no route answers, and with the API keys."""
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    document["components"]["securitySchemes"] = {
        "key": {"type": "http", "scheme": "bearer", "description": "Only where `api_keys_file` is set."}
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            responses = operation["responses"]
            if "HTTPValidationError" in str(responses.get("422")):
                del responses["422"]
            if path not in OPEN:
                operation["security"] = [{}, {"key": []}]
                responses.setdefault("401", _UNAUTHENTICATED)
    return document


def _error_responses() -> dict[int | str, dict[str, Any]]:
    """By status; of several errors with one status, the first in the table, which is the general one, tells."""
    responses: dict[int | str, dict[str, Any]] = {}
    for error, status in STATUS.items():
        if error is not errors.ClientDisconnected:  # nobody is there to be told
            responses.setdefault(status, {"model": ErrorSchema, "description": _first_line(error)})
    return responses


def _first_line(error: type[errors.TopfiveError]) -> str:
    return (error.__doc__ or "").strip().splitlines()[0]


_UNAUTHENTICATED: Final = {
    "description": _first_line(errors.Unauthenticated),
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorSchema"}}},
}
