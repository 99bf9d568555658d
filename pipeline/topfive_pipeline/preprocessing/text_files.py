"""Reads the text and JSON files that users name: UTF-8 as written on any system, with errors that say the remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive.repository.config_text import decoded

_MAX_BYTES: Final = 32 << 20
"""More than the names of a million classes."""


def read_text(path: Path) -> str:
    """The text of the file at `path`, without a byte order mark, its lines ended by LF.

    Raises `ConfigurationError` if it cannot be read, is not UTF-8, is empty or too long.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror or error}); name a file that can") from error
    except ValueError as error:  # a name with a zero byte in it
        raise ConfigurationError(f"{str(path)!r}: cannot be read ({error}); name a file that can") from error
    if len(data) > _MAX_BYTES:
        raise ConfigurationError(f"{path}: it is longer than {_MAX_BYTES >> 20} MiB; is it the right file?")
    text = decoded(data, path)
    if not text.strip():
        raise ConfigurationError(f"{path}: it is empty")
    return text


def read_json(path: Path) -> Any:
    """What the JSON file at `path` holds; raises `ConfigurationError`, also where an object has a key twice."""
    text = read_text(path)

    def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise ConfigurationError(f"{path}: '{twice}' stands there twice in one object; remove one of the two")
        return found

    try:
        return json.loads(text, object_pairs_hook=without_repeats)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{path}: it is no JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise ConfigurationError(f"{path}: it holds a number that nobody can mean; is it the right file?") from error
    except RecursionError:
        raise ConfigurationError(f"{path}: its JSON is nested too deeply; is it the right file?") from None
