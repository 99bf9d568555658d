"""Log lines on standard error: JSON, one object a line, or text for people (`observe.log_texts`).

What lives here: the formatter for the program's own loggers, and the line of a request. Bodies and header values other
than the request id and the trace are never logged, except what an error message quotes of them.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, BinaryIO, TextIO

import orjson

from topfive.observe.log_texts import LogTexts, TextFormatter, bounded

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object: time, level, logger, message, and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """See class."""
        line: dict[str, Any] = {
            "time": _timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": bounded(record.getMessage()),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        if record.exc_info:
            line["exception"] = bounded(self.formatException(record.exc_info))
        return _json(line).decode()


def texts_for(log_format: str, stream: TextIO, *, colours: bool) -> LogTexts | None:
    """The texts for people, if the setting `log_format` wants them; None for JSON. Only a terminal gets `colours`."""
    if log_format == "json" or (log_format == "auto" and not stream.isatty()):
        return None
    return LogTexts(colours=colours and stream.isatty())


class _Handler(logging.StreamHandler[TextIO]):
    """Writes a line even if a record cannot be formatted; logging itself would then write a page of free text."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """See class."""
        said = "a line of %s cannot be made, from %s:%d: %r"
        args = (record.name, record.filename, record.lineno, sys.exception())
        mended = logging.makeLogRecord({"name": "topfive", "levelno": logging.ERROR, "levelname": "ERROR"})
        mended.msg, mended.args = said, args
        self.stream.write(f"{self.format(mended)}\n")


def configure_logging(level: str, stream: TextIO, *, texts: LogTexts | None = None) -> None:
    """Send every logger's lines of `level` or above to `stream`: by `texts`, or as JSON if that is None."""
    handler = _Handler(stream)
    handler.setFormatter(JsonFormatter() if texts is None else TextFormatter(texts))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)  # Pillow warns of files that it can still read
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # uvicorn's lines about start and stop would only repeat ours.
    logging.getLogger("uvicorn").setLevel(logging.NOTSET if texts is None else logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET if texts is None else logging.WARNING)


class RequestLog:
    """Writes one line for each request directly to `stream`: the logging package would cost five times as much.

    The line is made by `texts`, or JSON if that is None.
    """

    def __init__(self, *, enabled: bool, stream: BinaryIO, texts: LogTexts | None = None) -> None:
        self.enabled = enabled
        self._stream = stream
        self._texts = texts

    def write(self, fields: Mapping[str, Any]) -> None:
        """Write one line with the time and `fields`."""
        now = time.time()  # noqa: TID251  # a timestamp, not a duration
        if self._texts is not None:
            self._stream.write(f"{self._texts.request(fields, now)}\n".encode())
        else:
            line = {"time": _timestamp(now), "level": "info", "logger": "topfive.request", **fields}
            self._stream.write(_json(line, orjson.OPT_APPEND_NEWLINE))
        self._stream.flush()


def _json(line: Mapping[str, Any], option: int = 0) -> bytes:
    try:
        return orjson.dumps(line, default=str, option=option)
    except TypeError:  # a name that is not UTF-8, or a number above 64 bits
        end = "\n" if option & orjson.OPT_APPEND_NEWLINE else ""
        return f"{json.dumps(line, default=str)}{end}".encode()


def _timestamp(seconds: float) -> str:
    return f"{_to_the_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
