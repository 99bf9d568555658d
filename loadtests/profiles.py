"""The profiles of `python -m loadtests run`: the full one is the options' defaults, the quick one is here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

QUICK: Final[Mapping[str, Any]] = {
    "workers": (1, 8),
    "mixes": ("random", "complex"),
    "warm_up": 1.0,
    "window": 2.0,
    "windows_most": 4,
    "rates": (40.0,),
    "rate_seconds": 8.0,
    "p99_ms": (),
}
"""Less than two minutes, measured with its start: whether all is right, and about how fast. No capacity is searched."""


def quickened(options: Mapping[str, Any], *, given: frozenset[str]) -> dict[str, Any]:
    """The options of a quick run: those that were not `given` on the command line become those of `QUICK`."""
    return {**options, **{name: value for name, value in QUICK.items() if name not in given}}
