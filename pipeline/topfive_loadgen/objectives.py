"""The objectives that a service is held to, and the reader of their file, `slo.yaml`.

`loadtests.slo` judges runs by them, and `topfive gate` what it measured. The only module
here that needs PyYAML and pydantic.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from topfive_loadgen.mixes import Mix, Scenario

_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Ratio = Annotated[float, Field(ge=0, le=1)]
_DEFAULT_ERRORS: Final = 0.001


class BadObjectives(Exception):
    """A file of objectives that cannot be read."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class ClosedObjective(_Strict):
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


class OpenObjective(_Strict):
    """Objectives of an open loop at a rate."""

    mix: Mix
    rate: _Positive
    p50_ms: _Positive | None = None
    p99_ms: _Positive | None = None
    max_error_ratio: _Ratio = _DEFAULT_ERRORS


class CapacityObjective(_Strict):
    """The objective of a search for the highest rate with this p99."""

    mix: Mix
    p99_ms: _Positive
    min_rate: _Positive


class MemoryObjective(_Strict):
    """The objective for the server's memory over the whole run."""

    max_resident_mb: _Positive


class Objectives(_Strict):
    """All objectives of a file."""

    closed: list[ClosedObjective] = []
    open: list[OpenObjective] = []
    capacity: list[CapacityObjective] = []
    memory: MemoryObjective | None = None

    @model_validator(mode="after")
    def _not_empty(self) -> Objectives:
        if not (self.closed or self.open or self.capacity or self.memory):
            raise ValueError("no objectives: give at least one under closed, open, capacity or memory")
        return self


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses equal keys. PyYAML keeps only the last one, so objectives could disappear unnoticed."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"{key!r} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def load(path: Path) -> Objectives:
    """Read the objectives of a file; raises `BadObjectives`, which names the file, the field and what to do."""
    try:
        document = yaml.load(path.read_bytes(), Loader=_UniqueKeys)  # noqa: S506  # a SafeLoader
        return Objectives.model_validate({} if document is None else document)
    except OSError as error:
        raise BadObjectives(f"{path} cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadObjectives(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        told = "; ".join(_told(detail["loc"], detail["msg"], detail["type"]) for detail in error.errors())
        raise BadObjectives(f"{path}: {told}. loadtests/slo.yaml shows what can be given.") from error


def _told(place: tuple[int | str, ...], message: str, kind: str) -> str:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    if kind == "extra_forbidden":
        message = "there is no such field; correct its name or take it out"
    elif kind == "missing":
        message = "it is missing; add it"
    return f"{field}: {message}" if field else message.removeprefix("Value error, ")
