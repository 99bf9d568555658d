"""Where the fields of a `config.pbtxt` are in its text, so that one can be changed and all else stays as it was. Pure.

Protobuf's own parser says what a text means, but forgets its comments and layout. This one only finds spans; the text
must be one that protobuf has parsed. Grammar: https://protobuf.dev/reference/protobuf/textformat-spec/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<skipped>\s+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<mark>[{}<>\[\]:,;])
      | (?P<word>[^\s{}<>\[\]:,;#"']+)""",
    re.VERBOSE,
)
_OPENS: Final = {"{": "}", "<": ">"}
_CLOSES: Final = "}>],;:"


@dataclass(frozen=True, slots=True)
class Value:
    """A value from `start` to `end`: a scalar, a message with `fields`, or a list of `items`."""

    start: int
    end: int
    fields: tuple[Field, ...] | None = None
    items: tuple[Value, ...] | None = None

    @property
    def messages(self) -> Iterator[Value]:
        """The message that it is, or those of its list."""
        if self.fields is not None:
            yield self
        for item in self.items or ():
            yield from item.messages


@dataclass(frozen=True, slots=True)
class Field:
    """A field from the start of its name to the end of its value."""

    name: str
    start: int
    value: Value

    @property
    def end(self) -> int:
        return self.value.end


def fields_of(text: str) -> tuple[Field, ...]:
    """The fields of the message `text`; raises `ValueError` if it is none."""
    tokens = [(found.lastgroup, found) for found in _tokens(text) if found.lastgroup != "skipped"]
    reader = _Reader([(found.group(), found.start(), found.end()) for _, found in tokens], len(text))
    fields = reader.fields(until="")
    return tuple(fields)


def named(fields: Sequence[Field] | None, name: str) -> list[Field]:
    """Those of `fields` that are called `name`."""
    return [field for field in fields or () if field.name == name]


def _tokens(text: str) -> Iterator[re.Match[str]]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ValueError(f"no text of a message at character {place}")
        yield found
        place = found.end()


class _Reader:
    """Reads tokens (text, start, end) one after the other."""

    def __init__(self, tokens: Sequence[tuple[str, int, int]], length: int) -> None:
        self._tokens = [*tokens, ("", length, length)]
        self._place = 0

    @property
    def _next(self) -> str:
        return self._tokens[self._place][0]

    def _take(self, wanted: str | None = None) -> tuple[str, int, int]:
        token = self._tokens[self._place]
        if wanted is not None and token[0] != wanted:
            raise ValueError(f"{wanted!r} is missing at character {token[1]}")
        self._place += 1
        return token

    def fields(self, *, until: str) -> Iterator[Field]:
        """Fields up to the token `until`, which is not taken."""
        while self._next != until:
            if self._next == "":
                raise ValueError(f"{until!r} is missing at the end")
            yield self._field()
            if self._next in (",", ";"):
                self._take()

    def _field(self) -> Field:
        name, start, _ = self._take()
        if name == "[":  # the name of an extension
            while self._take()[0] != "]":
                if self._next == "":
                    raise ValueError("']' is missing at the end")
        if self._next == ":":
            self._take()
        return Field(name, start, self._value())

    def _value(self) -> Value:
        opening, start, end = self._take()
        if opening in _OPENS:
            fields = tuple(self.fields(until=_OPENS[opening]))
            return Value(start, self._take()[2], fields=fields)
        if opening == "[":
            items = []
            while self._next != "]":
                items.append(self._value())
                if self._next == ",":
                    self._take()
            return Value(start, self._take()[2], items=tuple(items))
        if opening == "" or opening in _CLOSES:
            raise ValueError(f"a value is missing at character {start}")
        if opening == "-":  # the sign may stand apart
            end = self._take()[2]
        if opening[0] in "\"'":  # strings beside each other are one
            while self._next[:1] in ("'", '"') and self._next:
                end = self._take()[2]
        return Value(start, end)
