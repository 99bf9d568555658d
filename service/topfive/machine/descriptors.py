"""Raises the limit of open files and sockets of the process at the start, so that its connections fit."""

from __future__ import annotations

import logging
import resource
from typing import Final

from topfive.ground.errors import ConfigurationError

logger = logging.getLogger("topfive")

_OTHER_FILES: Final = 256
"""Open files beside connections: libraries, models while they load, metrics, the log."""
_FEWEST: Final = 16
"""The fewest connections of a useful service: those of a load balancer, a few clients and a probe."""


def fit_descriptors(max_connections: int, *, listeners: int, backlog: int) -> int:
    """Raise the soft limit so that each of `listeners` can take `max_connections`; returns how many each can take.

    If the hard limit is too low, these are fewer, and a warning is logged; raises `ConfigurationError` if they are
    next to none.

    An HTTP connection needs two files, because its client may read a static file, as slowly as it likes. If possible
    the limit has room for `backlog` more: for connections that are accepted before the service looks at the first.
    """
    soft, hard = (_finite(limit) for limit in resource.getrlimit(resource.RLIMIT_NOFILE))
    files = listeners + 1
    needed = max_connections * files + _OTHER_FILES
    limit = _raise_limit(soft, needed=min(needed, hard), wanted=min(needed + backlog, hard))
    if needed <= limit:
        return max_connections
    fitting = int(limit - _OTHER_FILES) // files
    if fitting < min(_FEWEST, max_connections):
        least = min(_FEWEST, max_connections) * files + _OTHER_FILES
        raise ConfigurationError(
            f"this process may have {limit:.0f} files open, which leaves no room for connections: max_connections "
            f"{max_connections} needs {needed}, and the least is {least}; raise the limit with `ulimit -n {needed}` in "
            f"the shell that starts it (as root where the hard limit is lower), LimitNOFILE={needed} in its systemd "
            f"unit, or `docker run --ulimit nofile={needed}`"
        )
    logger.warning(
        "max_connections is lowered from %d to %d, because this process may have only %d files open; to have them all, "
        "raise the limit to %d (ulimit -n, systemd's LimitNOFILE, Docker's --ulimit nofile)",
        max_connections,
        fitting,
        limit,
        needed,
    )
    return fitting


def _raise_limit(soft: float, *, needed: float, wanted: float) -> float:
    """Raise the soft limit to `wanted`, or at least to `needed`, if the system allows it; returns the new limit."""
    for target in (wanted, needed):
        if target <= soft:
            break
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (int(target), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        except (OSError, ValueError) as error:  # the limit that macOS reports is above the one that it allows
            logger.warning("the limit of open files cannot be raised from %.0f to %.0f: %s", soft, target, error)
        else:
            return target
    return soft


def _finite(limit: int) -> float:
    return float("inf") if limit == resource.RLIM_INFINITY else limit
