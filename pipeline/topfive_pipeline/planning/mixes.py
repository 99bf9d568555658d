"""What is said of the traffic on the command line: a rate, and a mix of kinds of images. Pure."""

from __future__ import annotations

import re
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.under_load.images import checked

_RATE: Final = re.compile(r"(?P<number>\d+(\.\d+)?([eE]\d)?)(/(?P<unit>s|m|h))?")
_SECONDS: Final = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART: Final = re.compile(r"(?P<kind>[a-z0-9]+)(:(?P<share>\d+(\.\d+)?)%)?")


def rate_of(text: str) -> float:
    """Images a second that `--rate TEXT` means; raises `ConfigurationError`."""
    said = _RATE.fullmatch(text)
    if said is None or float(said["number"]) == 0:
        raise ConfigurationError(f"--rate {text}: say images a second, minute or hour: 2000/s, 50000/m or 1e6/h")
    return float(said["number"]) / _SECONDS[said["unit"]]


def mix_of(text: str) -> list[tuple[str, float]]:
    """The kinds of images that `--mix TEXT` means, each with its share in percent; raises `ConfigurationError`."""
    parts = [part.strip() for part in text.split(",")]
    found: list[tuple[str, float]] = []
    for part in parts:
        said = _PART.fullmatch(part)
        if said is None or (said["share"] is None and len(parts) > 1) or float(said["share"] or 100) == 0:
            raise ConfigurationError(
                f"--mix {text}: '{part}' is none; say a kind and its share, as jpeg:80%,224x224:20%, or one kind alone"
            )
        if said["kind"] in dict(found):
            raise ConfigurationError(f"--mix {text}: {said['kind']} is said twice; say its share once")
        found.append((checked(said["kind"]), float(said["share"] or 100)))
    whole = sum(share for _, share in found)
    if abs(whole - 100) > _ROUNDING:
        raise ConfigurationError(f"--mix {text}: the shares come to {whole:g} %; they must come to 100")
    return found


_ROUNDING: Final = 0.5
