"""Every error has its gRPC status, HTTP's text and its machine-readable code; what is our fault tells nothing."""

from __future__ import annotations

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ground.test_statuses import FOR_CLIENTS
from topfive.ground import errors
from topfive.grpc.refusals import refusal_of


@pytest.mark.parametrize("kind", [kind for kind in FOR_CLIENTS if kind is not errors.BackendFailure])
@given(text=st.text(max_size=50))
def test_an_error_is_told_with_its_text_and_its_code(kind: type[errors.TopfiveError], text: str) -> None:
    refusal = refusal_of(kind(text, retry_after_seconds=6.1), "a1-b2")
    metadata = dict(refusal.metadata)
    assert refusal.text == text
    assert (metadata["code"], metadata["x-request-id"]) == (kind.code, "a1-b2")
    passing = errors.QueueFull | errors.NotReady | errors.RateLimited | errors.QuotaExceeded
    assert metadata.get("retry-after") == ("7" if issubclass(kind, passing) else None)


@pytest.mark.parametrize(
    "error", [errors.BackendFailure("password"), errors.TopfiveError("password"), KeyError("password")]
)
def test_what_is_our_fault_tells_where_to_look_and_no_more(error: Exception) -> None:
    refusal = refusal_of(error, "a1-b2")
    assert refusal.status is grpc.StatusCode.INTERNAL
    assert "a1-b2" in refusal.text
    assert "password" not in str(refusal)
    assert dict(refusal.metadata) == {"code": "internal", "x-request-id": "a1-b2"}


def test_a_long_text_is_cut_to_what_a_header_holds() -> None:
    assert len(refusal_of(errors.UnknownModel("x" * 5000), "a1-b2").text) == 1000
