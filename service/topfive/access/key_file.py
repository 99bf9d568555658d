"""The file of API keys: what may stand in it, and the errors for what may not.

A line is a key, and after it, if wanted, words that say whose it is and what its tenant may do:

    KEY name=feed rate=50 burst=100 quota=1000000/day weight=2 priority=1

No message shows a key, nor a word that might be one: two keys on one line are an easy mistake.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from topfive.access.spending import MAX_WEIGHT, Limits
from topfive.access.tenants import UNNAMED
from topfive.ground.errors import ConfigurationError

MAX_TENANTS: Final = 64
"""Each is a label of metrics in every process, and is looked at for each batch under overload."""
_MIN_KEY_CHARACTERS: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_WHOLE: Final = re.compile(r"[1-9][0-9]{0,11}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_QUOTA: Final = re.compile(r"([1-9][0-9]{0,11})/(hour|day|month)")


def _whole(value: str, most: int) -> int:
    if not _WHOLE.fullmatch(value) or int(value) > most:
        raise ValueError
    return int(value)


def _rate(value: str) -> dict[str, Any]:
    if not _NUMBER.fullmatch(value) or not float(value):
        raise ValueError
    return {"rate": float(value)}


def _quota(value: str) -> dict[str, Any]:
    if (found := _QUOTA.fullmatch(value)) is None:
        raise ValueError
    return {"quota": int(found[1]), "window": found[2]}


_WORDS: Final[Mapping[str, tuple[Callable[[str], dict[str, Any]], str]]] = {
    "rate": (_rate, "images a second, a number above 0 such as 50 or 0.5"),
    "burst": (lambda value: {"burst": _whole(value, 1_000_000)}, "images at once, a whole number up to 1000000"),
    "quota": (_quota, "images for each hour, day or month, such as 1000000/day"),
    "weight": (lambda value: {"weight": _whole(value, MAX_WEIGHT)}, f"a whole number from 1 to {MAX_WEIGHT}"),
    "priority": (lambda value: {"priority": _whole(value, 1000)}, "a level, a whole number from 1, the best"),
}
"""What each word but `name` says, and how its value must be."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What a file of keys says: the name of each key's tenant, and the limits of each tenant."""

    holders: Mapping[str, str] = field(repr=False)
    limits: Mapping[str, Limits]


def read_key_file(path: Path) -> KeyFile:
    """What the file at `path` says; blank lines and lines that begin with # are skipped.

    Raises `ConfigurationError`, with the number of the line and the word, for a file that cannot be read, a key that is
    too short to be secret, and any word that is not known or means nothing.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"api_keys_file '{path}' cannot be read: {error}") from error
    reader = _Reader(path)
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            reader.read(number, line.split())
    reader.check()
    if not reader.holders:
        raise ConfigurationError(f"api_keys_file '{path}' holds no key; write one a line, or leave the setting out")
    return KeyFile(reader.holders, {name: Limits(**said) for name, said in reader.said.items()})


class _Reader:
    """Reads the lines of the file at `path`. `said`: what was said so far of each tenant, by its name."""

    def __init__(self, path: Path) -> None:
        self.holders: dict[str, str] = {}
        self.said: dict[str, dict[str, Any]] = {}
        self._path = path
        self._lines: dict[tuple[str, str], int] = {}  # where each word of each tenant was said

    def read(self, number: int, words: Sequence[str]) -> None:
        """Read one line."""
        key, *rest = words
        if len(key) < _MIN_KEY_CHARACTERS or not key.isprintable():
            self._refuse(
                number,
                f"the key must have at least {_MIN_KEY_CHARACTERS} printable characters and no space; "
                "`openssl rand -hex 32` makes one",
            )
        given = self._given(number, rest)
        name = given.pop("name", UNNAMED)
        if name == UNNAMED and given:
            self._refuse(number, "limits need a name; write it before them, as name=feed")
        if self.holders.setdefault(key, name) != name:
            self._refuse(number, "the same key stands further up with another name")
        said = self.said.setdefault(name, {})
        if len(self.said) > MAX_TENANTS:
            self._refuse(number, f"this is the {len(self.said)}th name, and there are at most {MAX_TENANTS}")
        for word, value in given.items():
            parse, wanted = _WORDS[word]
            try:
                new = parse(value)
            except ValueError:
                self._refuse(number, f"{word} must be {wanted}")
            if any(said.setdefault(field, value) != value for field, value in new.items()):
                first = self._lines[name, word]
                self._refuse(number, f"{word} of {name} differs from that in line {first}; one line is enough")
            self._lines.setdefault((name, word), number)

    def check(self) -> None:
        """Refuse what is wrong only once the whole file is known."""
        for name, said in self.said.items():
            if "burst" in said and "rate" not in said:
                self._refuse(self._lines[name, "burst"], f"the burst of {name} needs a rate")

    def _given(self, number: int, words: Sequence[str]) -> dict[str, str]:
        given: dict[str, str] = {}
        for place, word in enumerate(words, 2):
            name, equals, value = word.partition("=")
            if not equals or (name not in _WORDS and name != "name"):
                shown = f"'{name}'" if len(name) < _MIN_KEY_CHARACTERS and name.isprintable() else f"number {place}"
                self._refuse(
                    number,
                    f"the word {shown} means nothing; after the key, there may be name=, {'=, '.join(_WORDS)}=",
                )
            if name in given:
                self._refuse(number, f"{name} stands there twice")
            given[name] = value
        if "name" in given and (not _NAME.fullmatch(given["name"]) or given["name"] == UNNAMED):
            self._refuse(
                number, f"name must be up to 40 letters, digits, dots, hyphens and underscores, and not '{UNNAMED}'"
            )
        return given

    def _refuse(self, number: int, why: str) -> NoReturn:
        raise ConfigurationError(f"api_keys_file '{self._path}', line {number}: {why}")
