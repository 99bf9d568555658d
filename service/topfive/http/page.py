"""The page at `/`, for people: this module serves it with its scripts and styles, from memory.

What lives here: how the page is served, what a browser may do on it, and the port of gRPC, which the page cannot know
otherwise. What does not: the page itself (`service/topfive/http/static/page`), which calls `/v1/classify` as any client
does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import orjson
from fastapi import APIRouter, HTTPException, Request, Response

FOLDER: Final = Path(__file__).parent / "static" / "page"
INDEX: Final = "index.html"
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
}
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
)
_HEADERS: Final = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Browsers keep the files, but ask each time if they changed: so an old script never meets a new page.
    "Cache-Control": "no-cache",
}


def page_router(grpc_port: Callable[[], int | None]) -> APIRouter:
    """Routes `/` and `/static/page/…`; `grpc_port`: the port on which gRPC is served, None if it is not."""
    files = {path.name: _File(path) for path in FOLDER.iterdir() if path.suffix in _MEDIA_TYPES}
    index = files.pop(INDEX)
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page(request: Request) -> Response:
        return index.answer(request)

    @router.get("/static/page/service.json")
    async def service() -> Response:
        """What the page's examples of code need to know of this service."""
        said = orjson.dumps({"grpc_port": grpc_port()})
        return Response(said, headers={**_HEADERS, "Content-Type": "application/json"})

    @router.get("/static/page/{name}")
    async def part(name: str, request: Request) -> Response:
        if name not in files:
            raise HTTPException(404)
        return files[name].answer(request)

    return router


class _File:
    """A file as it was at the start, with an ETag that is the same in every replica."""

    def __init__(self, path: Path) -> None:
        self._content = path.read_bytes()
        self._tag = f'"{sha256(self._content).hexdigest()[:32]}"'
        self._headers = {**_HEADERS, "ETag": self._tag, "Content-Type": _MEDIA_TYPES[path.suffix]}

    def answer(self, request: Request) -> Response:
        """The file's content, or 304 if the client has it already."""
        if self._is_known(request.headers.getlist("if-none-match")):
            return Response(status_code=304, headers=self._headers)
        return Response(self._content, headers=self._headers)

    def _is_known(self, conditions: Iterable[str]) -> bool:
        tags = [tag.strip().removeprefix("W/") for condition in conditions for tag in condition.split(",")]
        return self._tag in tags or tags == ["*"]
