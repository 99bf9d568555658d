"""A path before the service's own, put there by a proxy: `/topfive/v1/classify` behind one is `/v1/classify` here.

A proxy may take it away, and say so in `X-Forwarded-Prefix` or not; or leave it, which the setting `root_path` tells.
All pages and the API's description have relative addresses, so that they work either way.
"""

from __future__ import annotations

import re
from typing import Any, Final

from topfive.http.bodies.reading import Scope

HERE: Final = "."
"""In the API's description, the folder that it lies in."""
_HEADER: Final = b"x-forwarded-prefix"
_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+){1,16}")
_MAX_LENGTH: Final = 200


def without(scope: Scope, root_path: str) -> Scope:
    """The request without `root_path` at the start of its path, if it is there."""
    path = scope["path"]
    if not path.startswith(root_path) or path[len(root_path) : len(root_path) + 1] not in ("", "/"):
        return scope
    return {**scope, "path": path[len(root_path) :] or "/"}


def server_url(headers: Any, root_path: str) -> str:
    """Where the API is, as seen by who asks with these `headers`: what the proxy or the setting says, else here."""
    said = headers.get(_HEADER.decode(), "").rstrip("/")
    if said and len(said) <= _MAX_LENGTH and _PREFIX.fullmatch(said) and "/." not in said:
        return str(said)
    return root_path or HERE
