"""The table from errors to statuses is total, and names statuses that there are."""

from __future__ import annotations

import asyncio
import math
from typing import Final

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive.ground import errors
from topfive.ground.statuses import GRPC, HTTP, grpc_status, http_status, internal_error_text, is_clients, retry_seconds

KINDS: Final = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.TopfiveError)
]
FOR_CLIENTS: Final = [kind for kind in KINDS if kind is not errors.TopfiveError]
BY_CODE: Final = [kind for kind in FOR_CLIENTS if kind is not errors.MessageTooLarge]

# By code: HTTP as DESIGN has it, and 499 for who hangs up; gRPC as its own documentation tells them apart.
STATUSES: Final = {
    "malformed_request": (400, "INVALID_ARGUMENT"),
    "unsupported": (400, "UNIMPLEMENTED"),
    "configuration": (400, "FAILED_PRECONDITION"),  # of a model that was to be loaded
    "unauthenticated": (401, "UNAUTHENTICATED"),
    "unknown_model": (404, "NOT_FOUND"),
    "too_large": (413, "INVALID_ARGUMENT"),
    "unsupported_media_type": (415, "INVALID_ARGUMENT"),
    "undecodable_image": (422, "INVALID_ARGUMENT"),
    "queue_full": (429, "RESOURCE_EXHAUSTED"),
    "rate_limited": (429, "RESOURCE_EXHAUSTED"),
    "quota_exceeded": (429, "RESOURCE_EXHAUSTED"),
    "client_disconnected": (499, "CANCELLED"),
    "internal": (500, "INTERNAL"),
    "not_ready": (503, "UNAVAILABLE"),
    "deadline_exceeded": (504, "DEADLINE_EXCEEDED"),
}


def test_every_error_that_can_reach_a_client_has_its_statuses() -> None:
    assert set(HTTP) == set(GRPC) == set(FOR_CLIENTS)
    assert {kind.code: (http_status(kind("why")), grpc_status(kind("why"))) for kind in BY_CODE} == STATUSES


def test_a_long_message_is_too_large_with_grpcs_own_status_for_it() -> None:
    error = errors.MessageTooLarge("why")
    assert (error.code, http_status(error), grpc_status(error)) == ("too_large", 413, "RESOURCE_EXHAUSTED")


def test_the_names_of_grpcs_statuses_are_its_own() -> None:
    assert [name for name in GRPC.values() if name not in grpc.StatusCode.__members__] == []


def test_what_has_no_row_is_our_fault() -> None:
    assert (http_status(errors.TopfiveError("why")), grpc_status(errors.TopfiveError("why"))) == (500, "INTERNAL")


def test_a_defect_of_ours_tells_where_to_look() -> None:
    assert "a1-b2" in internal_error_text("a1-b2")


@pytest.mark.parametrize("kind", KINDS)
@given(seconds=st.none() | st.floats(allow_nan=False))
def test_only_an_error_that_passes_says_when_to_retry(kind: type[errors.TopfiveError], seconds: float | None) -> None:
    """In whole seconds from one to sixty; the limits of a tenant tell it exactly, however far away it is."""
    exact = issubclass(kind, errors.RateLimited | errors.QuotaExceeded)
    if exact and seconds == math.inf:
        return
    found = retry_seconds(kind("why", retry_after_seconds=seconds))
    if not exact and not issubclass(kind, errors.QueueFull | errors.NotReady):
        assert found is None
    elif exact and seconds is not None:
        assert found == math.ceil(max(1, seconds))
    elif seconds is None or seconds <= 1:
        assert found == 1
    else:
        assert found == (60 if seconds > 60 else math.ceil(seconds))


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_and_a_failure_of_ours_are_not_the_clients_doing(kind: type[errors.TopfiveError]) -> None:
    """So they cost its tenant nothing; who sends what cannot be read, or leaves, has had its turn."""
    assert is_clients(kind("why")) == (http_status(kind("why")) in {400, 401, 404, 413, 415, 422, 499})


def test_a_defect_is_ours_and_a_cancellation_is_a_client_that_left() -> None:
    assert not is_clients(ValueError())
    assert is_clients(asyncio.CancelledError())
