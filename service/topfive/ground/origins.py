"""Origins of web pages, as browsers name them: a scheme, a host and a port other than the scheme's.

What lives here: which are named, and whether a request comes from a page of another site. A browser sends such a page's
requests along whatever the page may read of the answers: CORS does not keep it from unloading a model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

ANY: Final = "*"
_PORTS: Final = {"http": ":80", "https": ":443"}


def read_origins(text: str) -> frozenset[str]:
    """The comma-separated origins in `text`, as browsers write them; raises `ValueError`, which names what is none."""
    return frozenset(_read(part.strip()) for part in text.split(",") if part.strip())


def _read(text: str) -> str:
    if text == ANY:
        return text
    found = re.fullmatch(r"([a-z][a-z0-9+.-]*)://([^/?#@\s]+)", text.lower())
    if found is None:
        raise ValueError(f"'{text}' is no origin: write scheme://host or scheme://host:port, no path; or * for any")
    scheme, host = found.groups()
    return f"{scheme}://{host.removesuffix(_PORTS.get(scheme, ' '))}"


def is_foreign(headers: Mapping[str, str], allowed: Collection[str]) -> bool:
    """Whether a request with these `headers` comes from a page that is neither our own nor of an `allowed` origin.

    Other programs than browsers say nothing of pages, and no page can say anything else than its browser does.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if ANY in allowed or origin in allowed:
        return False
    if site is not None:
        return site not in ("same-origin", "none")
    if origin is None:
        return False
    # Without encryption browsers send no Sec-Fetch-Site. A page's own header would need a preflight, which is refused.
    scheme, _, host = origin.partition("://")
    ours = (headers.get("host", ""), headers.get("x-forwarded-host", ""))
    return host not in [each.strip().lower().removesuffix(_PORTS.get(scheme, " ")) for each in ours if each]
