"""How long a command may take, as people write it."""

from __future__ import annotations

import re
from typing import Final

from topfive.ground.errors import ConfigurationError

_TIME: Final = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[smh]?)")
_SECONDS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """The seconds that `--time TEXT` means; raises `ConfigurationError`."""
    said = _TIME.fullmatch(text)
    if said is None or float(said["number"]) == 0:
        raise ConfigurationError(f"--time {text}: say a number of seconds, minutes or hours: 90s, 10m or 1h")
    return float(said["number"]) * _SECONDS[said["unit"]]
