"""Error bodies have one shape and a code of their own, and `Retry-After` is a number to act on."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.ground import errors
from topfive.http.error_responses import error_body, internal_error_body, retry_headers

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TopfiveError)]

RETRIED = errors.QueueFull | errors.NotReady | errors.RateLimited | errors.QuotaExceeded


def test_no_two_errors_share_a_code_but_those_that_are_our_fault() -> None:
    """A special case of an error has its code, unless it has one of its own."""
    codes = [kind.code for kind in KINDS if "code" in vars(kind) and kind is not errors.BackendFailure]
    assert len(codes) == len(set(codes))
    assert errors.BackendFailure.code == errors.TopfiveError.code == "internal"


@given(st.text(), st.text())
def test_every_error_body_has_one_shape(message: str, code: str) -> None:
    assert json.loads(error_body(message, code)) == {"error": message, "code": code}


def test_a_defect_of_ours_tells_where_to_look_and_no_more() -> None:
    body = json.loads(internal_error_body("a1-b2"))
    assert body["code"] == "internal"
    assert "a1-b2" in body["error"]


@pytest.mark.parametrize("kind", KINDS)
def test_only_an_error_that_passes_says_when_to_retry(kind: type[errors.TopfiveError]) -> None:
    headers = dict(retry_headers(kind("why", retry_after_seconds=7.2)))
    assert headers == ({b"retry-after": b"8"} if issubclass(kind, RETRIED) else {})


@pytest.mark.parametrize("kind", [errors.QueueFull, errors.NotReady])
@given(seconds=st.none() | st.floats(allow_nan=False))
def test_retry_after_is_whole_seconds_from_one_to_sixty(kind: type[errors.TopfiveError], seconds: float | None) -> None:
    ((name, value),) = retry_headers(kind("why", retry_after_seconds=seconds))
    assert name == b"retry-after"
    if seconds is None or seconds <= 1:
        assert int(value) == 1
    elif seconds > 60:
        assert int(value) == 60
    else:
        assert int(value) == math.ceil(seconds)
