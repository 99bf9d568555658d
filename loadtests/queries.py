"""A query (a request with its right answer), and the judgement of answers, for both generators. Pure.

`corpus` makes queries; `users` and `open_loop` send them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from loadtests.results import Mix
from topfive_loadgen import mixes, tensors

Scenario = mixes.Scenario
SCENARIOS: Final[tuple[Scenario, ...]] = ("raw", "jpeg", "oip", "grpc")
HTTP_SCENARIOS: Final[tuple[Scenario, ...]] = ("raw", "jpeg", "oip")

OK: Final = 200
NULL_LABEL: Final = "null"
"""The null server's answer to all queries."""
CLASSES: Final = "classes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A request. `scenario`: how it is sent; `kind`: what it holds, such as "photo"; `expected`: the right top-1 label.

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
    """What is wrong with an answer, in a few words that are equal for equal faults; "" if it is right.

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
    """The `code` of topfive's error; "" for any other server, whose texts vary from answer to answer."""
    try:
        return str(json.loads(body)["code"])
    except (ValueError, KeyError, TypeError):
        return ""
