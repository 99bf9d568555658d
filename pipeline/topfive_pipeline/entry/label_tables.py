"""Tables of class numbers and names: from the columns of a CSV file, from JSON objects, and what is wrong with them."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from topfive.ground.errors import ConfigurationError

_NUMBER: Final = re.compile(r"\s*\d{1,9}\s*", re.ASCII)
_NUMBERS_HEADINGS: Final = (
    *("index", "class_index", "class_idx", "idx", "id", "class_id", "label_id", "target", "number", "class"),
    "label",
)
_NAMES_HEADINGS: Final = (
    *("name", "display_name", "class_name", "label_name", "label", "labels", "class", "classes", "category"),
    *("title", "description", "species"),
)
"""Headings of the column of numbers, and of the one of names, in lower case, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Table:
    """What stands for each class number."""

    names: Mapping[int, Any]


def in_order(table: Table, path: Path) -> list[Any]:
    """The names from class 0 on; raises `ConfigurationError` if a number between is missing."""
    names = table.names
    if not names:
        raise ConfigurationError(f"{path}: it names no class")
    if min(names) == 1 and max(names) == len(names):
        raise ConfigurationError(
            f"{path}: it counts classes from 1, and networks count from 0; subtract 1 from each number, or add "
            "class 0 if the network has one more"
        )
    if gaps := [number for number in range(min(max(names) + 1, len(names) + 100)) if number not in names]:
        shown = ", ".join(map(str, gaps[:5])) + (" and others" if len(gaps) > 5 else "")
        raise ConfigurationError(f"{path}: class {shown} has no name, though {max(names)} has; add what is missing")
    return [names[number] for number in range(len(names))]


def from_numbered(rows: Sequence[tuple[str, Any]], path: Path) -> Table:
    """From pairs of number and name; raises `ConfigurationError` where a number stands twice."""
    names: dict[int, Any] = {}
    for text, name in rows:
        number = int(text)
        if number in names:
            raise ConfigurationError(
                f"{path}: class {number} is there twice, as '{names[number]}' and '{name}'; remove one of them"
            )
        names[number] = name
    return Table(names)


def from_object(content: Mapping[str, Any], path: Path) -> Table | None:
    """From number to name, or from name to number as in Keras' `class_indices`; None where it is neither."""
    if not content:
        return None
    by_key = all(map(_NUMBER.fullmatch, content))
    by_value = all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in content.values())
    if by_key and by_value and any(int(key) != value for key, value in content.items()):
        raise ConfigurationError(
            f"{path}: both keys and values are numbers, so it is not clear which are the names; save them as a list in "
            "the order of the classes"
        )
    if by_key:
        return from_numbered(list(content.items()), path)
    return from_numbered([(str(value), key) for key, value in content.items()], path) if by_value else None


def from_columns(text: str, path: Path) -> Table:
    """From comma, semicolon or tab separated values: a column of numbers and one of names, or names alone."""
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = [
            row for row in csv.reader(text.split("\n"), delimiter=delimiter, strict=True) if any(map(str.strip, row))
        ]
    except csv.Error as error:
        raise ConfigurationError(f"{path}: it cannot be read as CSV ({error}); check its quotes") from error
    if not rows:
        raise ConfigurationError(f"{path}: it names no class")
    width = len(rows[0])
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            raise ConfigurationError(
                f"{path}: row {number} has {len(row)} columns and the first {width}; a name with a comma needs quotes"
            )
    heading, rows = _heading(rows)
    if width == 1:
        return Table(dict(enumerate(row[0] for row in rows)))
    numbers, names = _columns(heading, rows, path)
    return from_numbered([(row[numbers], row[names]) for row in rows], path)


def _heading(rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """The heading line in lower case, or empty texts, and the rows below it."""
    first = [cell.strip().lower() for cell in rows[0]]
    known = {*_NUMBERS_HEADINGS, *_NAMES_HEADINGS}
    is_heading = all(cell in known for cell in first) if len(first) == 1 else not any(map(_NUMBER.fullmatch, first))
    return (first, rows[1:]) if is_heading and len(rows) > 1 else ([""] * len(first), rows)


def _columns(heading: Sequence[str], rows: Sequence[Sequence[str]], path: Path) -> tuple[int, int]:
    """The places of the column of numbers and of that of names."""
    whole = [place for place in range(len(heading)) if all(_NUMBER.fullmatch(row[place]) for row in rows)]
    if not whole:
        raise ConfigurationError(
            f"{path}: no column holds the number of each class; add one, or keep the names only, one a line, in a .txt"
        )
    numbers = whole[0] if len(whole) == 1 else _by_heading(heading, whole, _NUMBERS_HEADINGS)
    others = [place for place in range(len(heading)) if place != numbers]
    texts = [place for place in others if place not in whole] or others
    names = texts[0] if len(texts) == 1 else _by_heading(heading, texts, _NAMES_HEADINGS)
    if numbers is None or names is None:
        shown = ", ".join(f"'{cell}'" for cell in heading) if any(heading) else "no headings"
        raise ConfigurationError(
            f"{path}: of its {len(heading)} columns ({shown}) it is not clear which are number and name; head these "
            "two 'index' and 'name', or remove the others"
        )
    return numbers, names


def _by_heading(heading: Sequence[str], places: Sequence[int], known: Sequence[str]) -> int | None:
    return next((place for name in known for place in places if heading[place] == name), None)
