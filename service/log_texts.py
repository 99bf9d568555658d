"""Log lines for people at a terminal: short, aligned, coloured where the terminal shows colours.

What lives here: the text of a line. What does not: where it goes, and the same lines for programs (`logs`).
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


class LogTexts:
    """Makes the lines; without `colours`, plain ones."""

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def message(self, level: str, text: str, seconds: float) -> str:
        """What a part of the program says, with its level where that is not the usual one."""
        colour = _LEVELS.get(level)
        mark = "" if colour is None else f"{self._in(colour, level)}  "
        return f"{self._time(seconds)}  {mark}{text}"

    def request(self, fields: Mapping[str, Any], now: float) -> str:
        """One request, by the fields of its line for programs."""
        status = fields["status"]
        colour = _RED if status >= _FAILED else _YELLOW if status >= _REFUSED else _GREEN
        took = f"{1000 * fields['total_seconds']:.1f} ms"
        parts = [self._time(now), self._in(colour, str(status)), f"{took:>9}"]
        if status >= _REFUSED:
            asked = f"{fields.get('method', '')} {fields['route']}".strip()
            parts += [asked, f"from {fields.get('client', '?')}", f"{fields.get('code')}: {fields.get('error')}"]
        else:
            spent = [(name, fields.get(f"{name}_seconds")) for name in _STAGES]
            stages = ", ".join(f"{name} {1000 * seconds:.1f}" for name, seconds in spent if seconds is not None)
            count = fields["images"]
            parts += [fields["route"], f"{fields['model']}, {count} image{'s' * (count != 1)}", self._in(_DIM, stages)]
        return "  ".join(part for part in parts if part)

    def _time(self, seconds: float) -> str:
        return self._in(_DIM, time.strftime("%H:%M:%S", time.localtime(seconds)))

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and text else text


class TextFormatter(logging.Formatter):
    """A record as `texts` has it, with its traceback."""

    def __init__(self, texts: LogTexts) -> None:
        super().__init__()
        self._texts = texts

    def format(self, record: logging.LogRecord) -> str:
        """See class."""
        line = self._texts.message(record.levelname.lower(), record.getMessage(), record.created)
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
