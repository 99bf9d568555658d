"""How many files and sockets the process may have open: raised at the start, so that its connections fit."""

from __future__ import annotations

import resource
from typing import Final

from service.errors import ConfigurationError

_OTHER_FILES: Final = 256
"""What is open beside connections: libraries, models while they load, metrics, the log."""


def ensure_descriptors(max_connections: int, *, listeners: int, backlog: int) -> None:
    """Raise the soft limit to what so many `listeners` need that take `max_connections` each.

    Raises `ConfigurationError` if the hard limit forbids it.

    More is worth having: a second one for each connection, whose client may be reading a static file, and `backlog`
    for those that are accepted before one of them is looked at.
    """
    soft, hard = (_finite(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    needed = max_connections * listeners + _OTHER_FILES
    if needed > hard:
        raise ConfigurationError(
            f"max_connections is {max_connections}, which needs {needed} open files; the hard limit of this process is "
            f"{hard:.0f} (ulimit -Hn): raise it, or set max_connections to at most "
            f"{max(0, hard - _OTHER_FILES) // listeners:.0f}"
        )
    wanted = min(needed + max_connections + backlog, hard)
    if wanted <= soft:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(wanted), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    except (OSError, ValueError) as error:  # macOS has a lower bound than it says
        raise ConfigurationError(
            f"max_connections is {max_connections}, and the limit of open files cannot be raised from {soft:.0f} to "
            f"{wanted:.0f} for it ({error}); lower it"
        ) from error


def _finite(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit
