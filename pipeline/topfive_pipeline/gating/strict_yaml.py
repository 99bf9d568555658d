"""Reads a YAML file into a model that knows its fields: what it does not know, or is said twice, is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import ValidationError

from topfive.ground.errors import ConfigurationError
from topfive_loadgen.strict_yaml import Strict, UniqueKeys, faults

__all__ = ["Strict", "read_yaml"]


Read = TypeVar("Read", bound=Strict)


def read_yaml(path: Path, kind: type[Read], *, advice: str) -> Read:
    """What the file at `path` says; `advice`: where to see how it is written.

    Raises `ConfigurationError`, which names the file, the field and what to do.
    """
    try:
        document = yaml.load(path.read_bytes(), Loader=UniqueKeys)  # noqa: S506  # a SafeLoader
        return kind.model_validate({} if document is None else document)
    except OSError as error:
        raise ConfigurationError(f"{path}: it cannot be read ({error.strerror or error})") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{path}: it cannot be read as YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {faults(error)}. {advice}") from error
