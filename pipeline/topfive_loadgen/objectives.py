"""The objectives that a service is held to, and the reader of their file, `slo.yaml`.

`loadtests.slo` judges runs by them, and `topfive gate` what it measured. Of the modules
here only this and `strict_yaml` need PyYAML and pydantic.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import Field, ValidationError, model_validator

from topfive_loadgen.mixes import Mix, Scenario
from topfive_loadgen.strict_yaml import Strict, UniqueKeys, faults

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Ratio = Annotated[float, Field(ge=0, le=1)]
_DEFAULT_ERRORS: Final = 0.001


class BadObjectives(Exception):
    """A file of objectives that cannot be read."""


class ClosedObjective(Strict):
    """Objectives of a closed loop. With a `scenario`, latencies are of its requests only; errors are of all."""

    mix: Mix
    workers: Annotated[int, Field(gt=0)]
    scenario: Scenario | None = None
    p50_ms: _Positive | None = None
    p99_ms: _Positive | None = None
    min_throughput: _Positive | None = None
    max_error_ratio: _Ratio = _DEFAULT_ERRORS

    @model_validator(mode="after")
    def _measured_by_scenario(self) -> ClosedObjective:
        if self.scenario and self.min_throughput is not None:
            raise ValueError("min_throughput is of all scenarios together: give it in an objective without `scenario`")
        return self


class OpenObjective(Strict):
    """Objectives of an open loop at a rate."""

    mix: Mix
    rate: _Positive
    p50_ms: _Positive | None = None
    p99_ms: _Positive | None = None
    max_error_ratio: _Ratio = _DEFAULT_ERRORS


class CapacityObjective(Strict):
    """The objective of a search for the highest rate with this p99."""

    mix: Mix
    p99_ms: _Positive
    min_rate: _Positive


class MemoryObjective(Strict):
    """The objective for the server's memory over the whole run."""

    max_resident_mb: _Positive


class Objectives(Strict):
    """All objectives of a file."""

    closed: list[ClosedObjective] = Field(default_factory=list)
    open: list[OpenObjective] = Field(default_factory=list)
    capacity: list[CapacityObjective] = Field(default_factory=list)
    memory: MemoryObjective | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Objectives:
        if not (self.closed or self.open or self.capacity or self.memory):
            raise ValueError("no objectives: give at least one under closed, open, capacity or memory")
        return self


def load(path: Path) -> Objectives:
    """Read the objectives of a file; raises `BadObjectives`, which names the file, the field and what to do."""
    try:
        document = yaml.load(path.read_bytes(), Loader=UniqueKeys)  # noqa: S506  # a SafeLoader
        return Objectives.model_validate({} if document is None else document)
    except OSError as error:
        raise BadObjectives(f"{path} cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadObjectives(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise BadObjectives(f"{path}: {faults(error)}. loadtests/slo.yaml shows what can be given.") from error
