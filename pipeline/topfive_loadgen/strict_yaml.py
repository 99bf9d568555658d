"""What reads a YAML file strictly: only known fields, each key once, and what is wrong in words."""

from __future__ import annotations

from collections.abc import Hashable

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError


class Strict(BaseModel):
    """A part of a file, in which no other fields may be."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class UniqueKeys(yaml.SafeLoader):
    """A loader that refuses equal keys. PyYAML keeps only the last one, so what must hold could disappear unnoticed."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"{key!r} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def faults(error: ValidationError) -> str:
    """All that is wrong in a file, each with its field and what to do."""
    return "; ".join(_told(detail["loc"], detail["msg"], detail["type"]) for detail in error.errors())


def _told(place: tuple[int | str, ...], message: str, kind: str) -> str:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")
    if kind == "extra_forbidden":
        message = "there is no such field; correct its name or take it out"
    elif kind == "missing":
        message = "it is missing; add it"
    elif kind == "model_type":
        message = "it must have fields, as NAME: VALUE"
    said = message.removeprefix("Value error, ")
    return f"{field}: {said}" if field else said
