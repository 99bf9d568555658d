"""What a server under load is asked beside the load: its metrics, and its answer to each request."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from topfive_loadgen.asking import ask
from topfive_loadgen.http1 import render
from topfive_loadgen.metrics import Reading, parse

_OK: Final = 200


def metrics(url: str) -> Reading:
    """What the server at `url` says of itself; raises `OSError` or `ValueError` if it does not."""
    return parse(ask(_address(url), render("GET", "/metrics")).body.decode())


def first_labels(url: str, requests: Sequence[bytes]) -> tuple[int | None, ...]:
    """The first label's index in the answer to each request, one after the other; None where it is refused."""
    answers = [ask(_address(url), request) for request in requests]
    return tuple(
        json.loads(answer.body)["predictions"][0]["index"] if answer.status == _OK else None for answer in answers
    )


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port
