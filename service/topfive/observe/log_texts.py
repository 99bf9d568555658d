"""Log lines for people at a terminal: short, aligned, and coloured if the terminal shows colours.

What lives here: the text of a line. What does not: where it goes, and the same lines for programs (`observe.logs`).
Text from a client cannot control the terminal, nor look like a line of its own: control characters are shown as
escapes, and the text after a newline is indented.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any, Final

_RED, _YELLOW, _GREEN, _DIM = "31", "33", "32", "2"
_LEVELS: Final = {"debug": _DIM, "warning": _YELLOW, "error": _RED, "critical": _RED}
_STAGES: Final = ("decode", "resize", "queue", "inference")
_REFUSED, _FAILED = 400, 500
_MOST: Final = 1 << 14
"""The most characters of one text in a line: more than a traceback has, and less than a client can send."""


def bounded(text: str) -> str:
    """`text`; if it is too long, only its beginning and its end."""
    if len(text) <= _MOST:
        return text
    return f"{text[: _MOST // 2]}… of {len(text)} characters …{text[-_MOST // 2 :]}"


class LogTexts:
    """Makes the lines, with or without `colours`."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def message(self, level: str, text: str, seconds: float) -> str:
        """The line of a message from the program, with its level unless that is info."""
        colour = _LEVELS.get(level)
        mark = "" if colour is None else f"{self._in(colour, level)}  "
        return f"{self._time(seconds)}  {mark}{_indented(bounded(text))}"

    def request(self, fields: Mapping[str, Any], now: float) -> str:
        """The line of one request; `fields` are those of its line for programs."""
        status = fields["status"]
        colour = _RED if status >= _FAILED else _YELLOW if status >= _REFUSED else _GREEN
        took = f"{1000 * fields['total_seconds']:.1f} ms"
        parts = [self._time(now), self._in(colour, str(status)), f"{took:>9}"]
        if status >= _REFUSED:
            asked = f"{fields.get('method', '')} {fields['route']}".strip()
            said = [asked, f"from {fields.get('client', '?')}", f"{fields.get('code')}: {fields.get('error')}"]
            parts += map(_escaped, said)
        else:
            spent = [(name, fields.get(f"{name}_seconds")) for name in _STAGES]
            stages = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in spent if seconds is not None)
            if hits := fields.get("cache_hits"):
                stages = f"{hits} from the cache, {stages}"
            count = fields["images"]
            parts += [fields["route"], f"{fields['model']}, {count} image{'s' * (count != 1)}", self._in(_DIM, stages)]
        return "  ".join(part for part in parts if part)

    def _time(self, seconds: float) -> str:
        return self._in(_DIM, time.strftime("%H:%M:%S", time.localtime(seconds)))

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and text else text


class TextFormatter(logging.Formatter):
    """Formats a record by `texts`, with its traceback."""

    def __init__(self, texts: LogTexts) -> None:
        super().__init__()
        self._texts = texts

    def format(self, record: logging.LogRecord) -> str:
        """See class."""
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return self._texts.message(record.levelname.lower(), text, record.created)


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else repr(character)[1:-1]


def _indented(text: str) -> str:
    """`text` with only its first line at the margin, so that no further line looks like a log line of its own."""
    first, *rest = map(_escaped, text.split("\n"))
    if any(line[:1] not in ("", " ") for line in rest):
        rest = [f"  {line}" for line in rest]
    return "\n".join((first, *rest))
