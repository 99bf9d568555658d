"""The fields of a JSON object that a framework wrote, with their types checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from topfive.ground.errors import ConfigurationError

_LARGEST: Final = 1e30


@dataclass(frozen=True, slots=True)
class Fields:
    """The object `content` of the file at `path`; a field that is null counts as absent."""

    content: Mapping[str, Any]
    path: Path

    def get(self, name: str, default: Any = None) -> Any:
        """The field as it is."""
        value = self.content.get(name)
        return default if value is None else value

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        value = self.get(name, default)
        if not isinstance(value, bool):
            self.refuse(name, "true or false")
        return value

    def number(self, name: str, default: float) -> float:
        """A finite number."""
        value = self.get(name, default)
        if not is_number(value):
            self.refuse(name, "a number")
        return float(value)

    def numbers(self, name: str, default: Sequence[float]) -> tuple[float, ...]:
        """Finite numbers: a list of them, or one."""
        value = self.get(name, default)
        value = [value] if is_number(value) else value
        if not isinstance(value, list | tuple) or not value or not all(map(is_number, value)):
            self.refuse(name, "a list of numbers")
        return tuple(float(number) for number in value)

    def whole_numbers(self, name: str, default: Sequence[int], *, count: int) -> tuple[int, ...]:
        """`count` numbers of at least 1."""
        value = self.get(name, default)
        if not isinstance(value, list | tuple) or len(value) != count or not all(map(is_size, value)):
            self.refuse(name, f"a list of {count} whole numbers")
        return tuple(value)

    def refuse(self, name: str, wanted: str) -> NoReturn:
        """Raise `ConfigurationError`: the field `name` is not what is wanted."""
        raise ConfigurationError(f"{self.path}: {name} is {shown(self.get(name))}, but it must be {wanted}; correct it")


def is_number(value: object) -> bool:
    """Whether `value` is a finite number, and one that float32 can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST  # no NaN is


def is_size(value: object) -> bool:
    """Whether `value` is a whole number of pixels or channels, 1 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1 << 16


def shown(value: object) -> str:
    """`value` as JSON for a message, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
