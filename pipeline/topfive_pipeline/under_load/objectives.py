"""What a service must hold under load, as `slo.yaml` says it: for rooms that do not know the load generator."""

from __future__ import annotations

from pathlib import Path

from topfive.ground.errors import ConfigurationError
from topfive_loadgen.objectives import BadObjectives, ClosedObjective, Objectives, OpenObjective, load

__all__ = ["ClosedObjective", "Objectives", "OpenObjective", "read"]


def read(path: Path) -> Objectives:
    """The objectives of a file; raises `ConfigurationError`, which says what is wrong in it."""
    try:
        return load(path)
    except BadObjectives as error:
        raise ConfigurationError(f"--slo {error}") from error
