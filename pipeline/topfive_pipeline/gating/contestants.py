"""The two that a gate compares, each behind HTTP: the version that wants to go live, and the one that is live."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """One served version of a model.

    `title`: how reports call it. `url`: http(s)://host:port of its server. `model`, `version`: what to ask for; version
    None is the server's own choice. `pid`: the process of its server if the gate started it, else None.
    `repository`, `flags`: the folder that this server serves, with these flags besides, if the gate started it; so
    another server of the same can be started. `api_key`: what a service asks for; "" for none.
    """

    title: str
    url: str
    model: str
    version: int | None = None
    pid: int | None = None
    repository: Path | None = None
    flags: tuple[str, ...] = ()
    api_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """The candidate, and the live version that it is held against."""

    candidate: Contestant
    live: Contestant
