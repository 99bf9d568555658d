"""Origins of web pages, as browsers name them: a scheme, a host and a port other than the scheme's."""

from __future__ import annotations

import re
from typing import Final

ANY: Final = "*"


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
    return f"{scheme}://{host.removesuffix({'http': ':80', 'https': ':443'}.get(scheme, ' '))}"
