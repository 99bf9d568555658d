"""One request and what a right answer to it says: what both generators send and how they judge what comes back.

What lives here: the query, and the reading of answers in the three ways in which
they come over HTTP. What does not: where queries come from (`corpus`), when they are sent (`users`, `open_loop`). Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from loadgen import tensors
from loadtests.results import Mix

Scenario = Literal["raw", "jpeg", "oip", "grpc"]
SCENARIOS: Final[tuple[Scenario, ...]] = ("raw", "jpeg", "oip", "grpc")
HTTP_SCENARIOS: Final[tuple[Scenario, ...]] = ("raw", "jpeg", "oip")

OK: Final = 200
NULL_LABEL: Final = "null"
"""What the null backend answers to everything: queries to it expect this."""
CLASSES: Final = "classes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A request. `scenario`: how it is sent; `kind`: what is sent, "photo", "12 MP raw"; `expected`: the right top-1.

    `headers` without Host and Content-Length. Of a `grpc` query the body is a serialised ModelInferRequest.
    """

    mix: Mix
    scenario: Scenario
    kind: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    expected: str


def judge(query: Query, *, status: int, headers: Mapping[str, str], body: bytes) -> str:
    """What is wrong with an answer, in a few words that are the same for the same fault; "" for a right one.

    `headers`: names in lower case, or a mapping that ignores case.
    """
    if status != OK:
        return f"{status} {_code(body)}".rstrip()
    try:
        label = top_label(body, json_length=headers.get(tensors.JSON_LENGTH))
    except (ValueError, KeyError, TypeError, IndexError):
        return "unreadable answer"
    return "" if label == query.expected else "wrong label"


def top_label(body: bytes, *, json_length: str | None) -> str:
    """The first label of an answer of `/v1/classify`, or of an inference answer whose `classes` are JSON or binary.

    `json_length`: the header Inference-Header-Content-Length. Raises `ValueError`, `KeyError`, `TypeError` or
    `IndexError` for anything else.
    """
    document, binary = tensors.split(body, json_length)
    if "outputs" in document:
        return str(tensors.values(document, binary, of=[CLASSES])[CLASSES][0])
    return str(document["predictions"][0]["label"])


def _code(body: bytes) -> str:
    """The `code` of an error of topfive; nothing of any other server, whose texts vary from answer to answer."""
    try:
        return str(json.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        return ""
