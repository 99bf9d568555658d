"""Reads a YAML file into a model that knows its fields: what it does not know, or is said twice, is refused."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from topfive.ground.errors import ConfigurationError


class Strict(BaseModel):
    """A part of a file, in which no other fields may be."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Read = TypeVar("Read", bound=Strict)


class _UniqueKeys(yaml.SafeLoader):
    """A loader that refuses equal keys. PyYAML keeps only the last one, so what must hold could disappear unnoticed."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.MarkedYAMLError(problem=f"{key!r} is given twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, kind: type[Read], *, advice: str) -> Read:
    """What the file at `path` says; `advice`: where to see how it is written.

    Raises `ConfigurationError`, which names the file, the field and what to do.
    """
    try:
        document = yaml.load(path.read_bytes(), Loader=_UniqueKeys)  # noqa: S506  # a SafeLoader
        return kind.model_validate({} if document is None else document)
    except OSError as error:
        raise ConfigurationError(f"{path}: it cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{path}: it cannot be read as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        told = "; ".join(_told(detail["loc"], detail["msg"], detail["type"]) for detail in error.errors())
        raise ConfigurationError(f"{path}: {told}. {advice}") from error


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
