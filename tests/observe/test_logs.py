"""Every log line is one JSON object on one line, whatever is logged."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.observe.log_texts import LogTexts
from topfive.observe.logs import JsonFormatter, RequestLog, configure_logging

UVICORN = ("uvicorn", "uvicorn.error", "uvicorn.access")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def record(message: str = "said", *arguments: object, **extra: object) -> logging.LogRecord:
    made = logging.getLogger("topfive").makeRecord(
        "topfive", logging.WARNING, "file.py", 1, message, arguments, None, extra=extra
    )
    made.created = 86_400.5
    return made


def formatted(made: logging.LogRecord) -> dict[str, Any]:
    text = JsonFormatter().format(made)
    assert "\n" not in text
    line: dict[str, Any] = json.loads(text)
    return line


def test_a_line_has_time_level_logger_message_and_nothing_else() -> None:
    assert formatted(record("%d images of %s", 3, "cats")) == {
        "time": "1970-01-02T00:00:00.500Z",
        "level": "warning",
        "logger": "topfive",
        "message": "3 images of cats",
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (0.25, "1970-01-01T00:00:00.250Z"),
        (59.9999, "1970-01-01T00:00:59.999Z"),
        (951_782_400.0, "2000-02-29T00:00:00.000Z"),
    ],
)
def test_the_time_is_utc_in_milliseconds(seconds: float, text: str) -> None:
    made = record()
    made.created = seconds
    assert formatted(made)["time"] == text


def test_what_is_given_as_extra_is_part_of_the_line() -> None:
    line = formatted(record(request_id="a1", seconds=0.5, path=Path("/x"), nothing=None))
    assert line | {"request_id": "a1", "seconds": 0.5, "path": "/x", "nothing": None} == line


def test_an_exception_is_part_of_its_line() -> None:
    made = record()
    try:
        raise ValueError("two\nlines")
    except ValueError:
        made.exc_info = sys.exc_info()
    assert "ValueError: two\nlines" in formatted(made)["exception"]
    assert "Traceback" in formatted(made)["exception"]


@given(st.text(), st.dictionaries(st.text("abc_", min_size=1), st.none() | st.booleans() | st.floats() | st.text()))
def test_any_text_makes_one_line(message: str, extra: dict[str, object]) -> None:
    """A client cannot break out of its line."""
    line = formatted(record("%s", message, **extra))
    assert line["message"] == message
    assert set(line) == {"time", "level", "logger", "message", *extra}


def test_a_file_name_that_is_not_utf_8_is_logged_all_the_same() -> None:
    """Python reads it with surrogates; a message must not be lost for one."""
    assert "is missing" in formatted(record("%s is missing", os.fsdecode(b"caf\xe9/model.onnx")))["message"]


@pytest.fixture
def loggers() -> Iterator[None]:
    """The loggers as they were, after the test."""
    touched = [logging.getLogger(name) for name in (None, *UVICORN)]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in touched]
    logging.root.handlers.clear()  # not closed by the configuration: they are pytest's
    yield
    for logger, handlers, level, propagate in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.mark.usefixtures("loggers")
def test_all_loggers_write_json_to_the_stream() -> None:
    stream, its_own = io.StringIO(), io.StringIO()
    logging.getLogger("uvicorn").addHandler(logging.StreamHandler(its_own))
    logging.getLogger("uvicorn.access").propagate = False
    configure_logging("info", stream)
    for name in ("topfive", *UVICORN, "of.others"):
        logging.getLogger(name).info("one")
        logging.getLogger(name).debug("not this")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["logger"] for line in lines] == ["topfive", *UVICORN, "of.others"]
    assert {line["message"] for line in lines} == {"one"}
    assert its_own.getvalue() == ""


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_lines_below_the_level_are_not_written(level: str, count: int) -> None:
    stream = io.StringIO()
    configure_logging(level, stream)
    logger = logging.getLogger("topfive")
    for severity in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(severity, "said")
    assert len(stream.getvalue().splitlines()) == count


@pytest.mark.usefixtures("loggers")
def test_a_line_that_cannot_be_made_is_told_of_in_one_line() -> None:
    """Of a library, say: not in the page of text that logging writes by itself."""
    stream = io.StringIO()
    configure_logging("info", stream)
    logging.getLogger("of.others").info("%d images", "no")
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["logger"], line["level"]) == ("topfive", "error")
    assert [word for word in ("of.others", "test_logs.py", "TypeError") if word not in line["message"]] == []


def test_a_long_text_is_cut() -> None:
    made = record("%s", "x" * 1_000_000)
    try:
        raise ValueError("y" * 1_000_000)
    except ValueError:
        made.exc_info = sys.exc_info()
    assert len(JsonFormatter().format(made)) < 40_000


@pytest.mark.usefixtures("loggers")
def test_configuring_again_replaces_and_does_not_add() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure_logging("info", first)
    configure_logging("info", second)
    logging.getLogger("topfive").info("said")
    assert (first.getvalue(), len(second.getvalue().splitlines())) == ("", 1)


def test_a_request_is_one_line_with_its_fields() -> None:
    stream = io.BytesIO()
    log = RequestLog(enabled=True, stream=stream)
    log.write({"request_id": "a\n1", "status": 200, "total_seconds": 0.0125})
    log.write({"request_id": "b"})
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert TIME.fullmatch(first.pop("time"))
    assert first == {
        "level": "info",
        "logger": "topfive.request",
        "request_id": "a\n1",
        "status": 200,
        "total_seconds": 0.0125,
    }
    assert second["request_id"] == "b"
    assert stream.getvalue().endswith(b"\n")


@pytest.mark.parametrize("texts", [None, LogTexts(colours=False)], ids=["json", "text"])
def test_a_text_that_is_not_utf_8_has_its_line_too(texts: LogTexts | None) -> None:
    """A request must not fail for its line."""
    stream = io.BytesIO()
    log = RequestLog(enabled=True, stream=stream, texts=texts)
    refusal = {"route": "/way", "method": "GET", "client": "?", "code": "unknown", "error": "\ud800"}
    log.write({"status": 404, "total_seconds": 0.5, **refusal})
    assert stream.getvalue().endswith(b"\n")
    assert rb"\ud800" in stream.getvalue()


def test_a_request_line_leaves_at_once() -> None:
    """Not when a buffer is full: the last requests before a crash are those one looks for."""
    raw = io.BytesIO()
    with io.BufferedWriter(raw) as stream:
        RequestLog(enabled=True, stream=stream).write({"request_id": "a"})
        assert json.loads(raw.getvalue())["request_id"] == "a"


def test_whoever_writes_can_ask_whether_lines_are_wanted() -> None:
    assert RequestLog(enabled=True, stream=io.BytesIO()).enabled
    assert not RequestLog(enabled=False, stream=io.BytesIO()).enabled
