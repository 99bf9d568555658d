"""A right answer is told from every other, in each of the ways in which answers come."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.queries import Query, judge

QUERY = Query(mix="random", scenario="oip", kind="photo", path="/", headers={}, body=b"", expected="espresso")
CLASSIFIED = {"model": "m", "predictions": [{"label": "espresso"}, {"label": "cup"}]}
INFERRED = {"outputs": [{"name": "classes", "datatype": "BYTES", "shape": [1, 2], "data": ["espresso", "cup"]}]}


def judged(body: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None) -> str:
    return judge(QUERY, status=status, headers=headers or {}, body=body)


def binary(*outputs: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    """An inference answer whose tensors are all binary."""
    described = [{"name": name, "parameters": {"binary_data_size": len(tensor)}} for name, tensor in outputs]
    head = json.dumps({"outputs": described}, ensure_ascii=False).encode()
    body = head + b"".join(tensor for _, tensor in outputs)
    return body, {"inference-header-content-length": str(len(head))}


def strings(*values: str) -> bytes:
    return b"".join(len(value.encode()).to_bytes(4, "little") + value.encode() for value in values)


@pytest.mark.parametrize("document", [CLASSIFIED, INFERRED])
def test_the_expected_label_first_is_right(document: Any) -> None:
    assert judged(json.dumps(document).encode()) == ""


@pytest.mark.parametrize("document", [CLASSIFIED, INFERRED])
def test_the_expected_label_second_is_wrong(document: Any) -> None:
    swapped = json.dumps(document).replace("espresso", "x").replace("cup", "espresso")
    assert judged(swapped.encode()) == "wrong label"


def test_binary_classes_are_found_among_other_tensors() -> None:
    body, headers = binary(("indices", bytes(40)), ("classes", strings("espresso", "cup")), ("probabilities", bytes(8)))
    assert judged(body, headers=headers) == ""
    body, headers = binary(("indices", bytes(40)), ("classes", strings("cup", "espresso")))
    assert judged(body, headers=headers) == "wrong label"


@given(st.text(st.characters(codec="utf-8")))
def test_any_label_is_read_back_from_a_binary_tensor(label: str) -> None:
    body, headers = binary(("classes", strings(label, "cup")))
    query = Query(mix="random", scenario="oip", kind="photo", path="/", headers={}, body=b"", expected=label)
    assert judge(query, status=200, headers=headers, body=body) == ""


@given(st.binary(max_size=60), st.sampled_from([{}, {"inference-header-content-length": "7"}]))
def test_whatever_else_comes_with_a_200_is_unreadable_or_wrong(body: bytes, headers: dict[str, str]) -> None:
    assert judged(body, headers=headers) in {"unreadable answer", "wrong label"}


def test_a_refusal_is_named_by_its_status_and_its_code() -> None:
    assert judged(b'{"error": "come again", "code": "queue_full"}', status=429) == "429 queue_full"


def test_a_refusal_of_another_server_is_named_by_its_status() -> None:
    """Triton's texts say which request it was: as names they would be as many as there are answers."""
    assert judged(b'{"error": "request 17 timed out"}', status=400) == "400"
    assert judged(b"<html>", status=502) == "502"
