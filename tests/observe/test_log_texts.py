"""At a terminal, a line is short and says at a glance how a request went."""

from __future__ import annotations

import logging
import sys

from topfive.observe.log_texts import LogTexts, TextFormatter, bounded

PLAIN = LogTexts(colours=False)
COLOURED = LogTexts(colours=True)
ANSWERED = {
    "request_id": "a",
    "route": "/v1/classify",
    "model": "flowers",
    "status": 200,
    "images": 2,
    "body_bytes": 9,
    "total_seconds": 0.0124,
    "decode_seconds": 0.002,
    "resize_seconds": 0.001,
    "queue_seconds": 0.0,
    "inference_seconds": 0.009,
}
REFUSED = {
    "request_id": "a",
    "route": "/v1/classify",
    "model": "",
    "status": 422,
    "images": 0,
    "body_bytes": 9,
    "total_seconds": 0.001,
    "code": "undecodable_image",
    "error": "the body looks like a PDF",
    "method": "POST",
    "client": "1.2.3.4",
}


def words(line: str) -> str:
    """Without the time, which is the zone's."""
    return line.split("  ", 1)[1]


def test_an_answer_says_how_long_what_took() -> None:
    expected = "200    12.4 ms  /v1/classify  flowers, 2 images  decode 2.0, resize 1.0, queue 0.0, inference 9.0"
    assert words(PLAIN.request(ANSWERED, 0.0)) == expected


def test_an_answer_says_what_came_from_the_cache() -> None:
    assert "  2 from the cache, decode 2.0, " in PLAIN.request({**ANSWERED, "cache_hits": 2}, 0.0)
    assert "cache" not in PLAIN.request({**ANSWERED, "cache_hits": 0}, 0.0)


def test_a_refusal_says_whose_it_was_and_why() -> None:
    expected = "422     1.0 ms  POST /v1/classify  from 1.2.3.4  undecodable_image: the body looks like a PDF"
    assert words(PLAIN.request(REFUSED, 0.0)) == expected


def test_colours_are_for_who_shows_them() -> None:
    assert "\x1b[32m200\x1b[0m" in COLOURED.request(ANSWERED, 0.0)
    assert "\x1b[33m422\x1b[0m" in COLOURED.request(REFUSED, 0.0)
    assert "\x1b[31m500\x1b[0m" in COLOURED.request({**REFUSED, "status": 500}, 0.0)
    assert "\x1b" not in PLAIN.request(ANSWERED, 0.0) + PLAIN.message("error", "x", 0.0)


def test_a_message_has_its_level_if_that_matters_and_its_traceback() -> None:
    def record(level: int, *, failed: bool = False) -> logging.LogRecord:
        try:
            raise ValueError("inside")
        except ValueError:
            info = sys.exc_info() if failed else None
        return logging.LogRecord("topfive", level, "file.py", 1, "said %d", (3,), info)

    formatter = TextFormatter(PLAIN)
    assert words(formatter.format(record(logging.INFO))) == "said 3"
    assert words(formatter.format(record(logging.WARNING))) == "warning  said 3"
    lines = formatter.format(record(logging.ERROR, failed=True)).splitlines()
    assert words(lines[0]) == "error  said 3"
    assert lines[-1] == "  ValueError: inside"


def test_no_text_of_a_client_commands_the_terminal_or_looks_like_a_line_of_its_own() -> None:
    said = "no \x1b[2J, \r, \x9b1m, \u202e, \ud800\n12:00:00  200  /v1/classify"
    shown = r"no \x1b[2J, \r, \x9b1m, \u202e, \ud800\n12:00:00  200  /v1/classify"
    assert words(PLAIN.request({**REFUSED, "error": said}, 0.0)).endswith(shown)
    first, second = PLAIN.message("info", said, 0.0).split("\n")
    assert words(first) == r"no \x1b[2J, \r, \x9b1m, \u202e, \ud800"
    assert second == "  12:00:00  200  /v1/classify"


def test_an_announcement_stays_as_it_is() -> None:
    assert words(PLAIN.message("info", "\n  ready\n\n  page  http://x/\n", 0.0)) == "\n  ready\n\n  page  http://x/\n"


def test_a_text_without_end_is_cut_in_the_middle() -> None:
    text = bounded(f"begin{'x' * 1_000_000}end")
    assert len(text) < 17_000
    assert (text[:5], text[-3:]) == ("begin", "end")
    assert "of 1000008 characters" in text
    assert bounded("x" * 16_000) == "x" * 16_000
