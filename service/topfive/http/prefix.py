"""The prefix that a proxy puts before the paths of this service: it calls `/v1/classify` `/topfive/v1/classify`.

A proxy may remove the prefix, and may then name it in `X-Forwarded-Prefix`. If it leaves the prefix in the path, the
setting `root_path` names it. All pages and the API's description use relative addresses, so they work either way.
"""

from __future__ import annotations

import re
from typing import Any, Final

from topfive.http.bodies.reading import Scope

HERE: Final = "."
"""The address of the API in its own description: the folder that the description lies in."""
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
    """The API's address for the client: the prefix in the proxy's `headers`, else `root_path`, else `HERE`."""
    said = headers.get(_HEADER.decode(), "").rstrip("/")
    if said and len(said) <= _MAX_LENGTH and _PREFIX.fullmatch(said) and "/." not in said:
        return str(said)
    return root_path or HERE
