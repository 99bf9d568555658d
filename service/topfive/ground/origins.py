"""Origins of web pages, as browsers name them: a scheme, a host, and a port if it is not the scheme's.

What lives here: reading origins from a setting, and whether a request comes from a page of another site. A browser
sends the requests of such a page even if the page may not read the answers, so CORS alone does not keep a foreign page
from unloading a model.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

ANY: Final = "*"
_PORTS: Final = {"http": ":80", "https": ":443"}


def read_origins(text: str) -> frozenset[str]:
    """The comma-separated origins in `text`, as browsers write them; raises `ValueError`, which names a wrong part."""
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

    Browsers set these headers, and a page cannot change them. Other programs do not send them, so they are not foreign.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if ANY in allowed or origin in allowed:
        return False
    if site is not None:
        return site not in ("same-origin", "none")
    if origin is None:
        return False
    # Without encryption browsers send no Sec-Fetch-Site. If a page added one itself, that would need a preflight, which
    # is refused.
    scheme, _, host = origin.partition("://")
    ours = (headers.get("host", ""), headers.get("x-forwarded-host", ""))
    return host not in [each.strip().lower().removesuffix(_PORTS.get(scheme, " ")) for each in ours if each]
