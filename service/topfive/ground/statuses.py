"""The status of each error in HTTP and in gRPC, and the time after which a client should retry.

What lives here: numbers and names. What does not: bodies, headers and metadata (`http.error_responses`,
`grpc.refusals`).
"""

from __future__ import annotations

import math
from typing import Final

from topfive.ground import errors

Kind = type[errors.TopfiveError]

HTTP: Final[dict[Kind, int]] = {
    errors.MalformedRequest: 400,
    errors.Unsupported: 400,
    errors.ConfigurationError: 400,  # a client asked to load a model that cannot be served
    errors.BackendMismatch: 400,  # likewise
    errors.Unauthenticated: 401,
    errors.UnknownModel: 404,
    errors.TooLarge: 413,
    errors.MessageTooLarge: 413,
    errors.UnsupportedMediaType: 415,
    errors.UndecodableImage: 422,
    errors.QueueFull: 429,
    errors.RateLimited: 429,
    errors.QuotaExceeded: 429,
    errors.ClientDisconnected: 499,  # only for the log and the metrics; the number is nginx's
    errors.BackendFailure: 500,
    errors.NotReady: 503,
    errors.BackendUnreachable: 503,
    errors.StoreUnreachable: 503,
    errors.DeadlineExceeded: 504,
}

GRPC: Final[dict[Kind, str]] = {
    errors.MalformedRequest: "INVALID_ARGUMENT",
    errors.Unsupported: "UNIMPLEMENTED",
    errors.Unauthenticated: "UNAUTHENTICATED",
    errors.UnknownModel: "NOT_FOUND",
    errors.TooLarge: "INVALID_ARGUMENT",
    errors.MessageTooLarge: "RESOURCE_EXHAUSTED",  # as gRPC itself refuses longer messages
    errors.UnsupportedMediaType: "INVALID_ARGUMENT",
    errors.UndecodableImage: "INVALID_ARGUMENT",
    errors.QueueFull: "RESOURCE_EXHAUSTED",
    errors.RateLimited: "RESOURCE_EXHAUSTED",
    errors.QuotaExceeded: "RESOURCE_EXHAUSTED",
    errors.ClientDisconnected: "CANCELLED",
    errors.BackendFailure: "INTERNAL",
    errors.NotReady: "UNAVAILABLE",
    errors.BackendUnreachable: "UNAVAILABLE",
    errors.StoreUnreachable: "UNAVAILABLE",
    errors.DeadlineExceeded: "DEADLINE_EXCEEDED",
    errors.ConfigurationError: "FAILED_PRECONDITION",  # a client asked to load a model that cannot be served
    errors.BackendMismatch: "FAILED_PRECONDITION",  # likewise
}
"""Names of gRPC's status codes; any other error is a defect of ours."""

_EXACT: Final = (errors.RateLimited, errors.QuotaExceeded)
"""What is known to the second, however far away that is; all else is an estimate, which soon is another."""
_RETRY: Final = (errors.QueueFull, errors.NotReady, *_EXACT)
_OURS: Final = frozenset((429, 500, 503, 504))
_DEFAULT_RETRY_SECONDS: Final = 1.0
_MAX_RETRY_SECONDS: Final = 60


def http_status(error: errors.TopfiveError) -> int:
    """The HTTP status for `error`."""
    return HTTP.get(type(error), 500)


def grpc_status(error: errors.TopfiveError) -> str:
    """The name of the gRPC status for `error`."""
    return GRPC.get(type(error), "INTERNAL")


def retry_seconds(error: errors.TopfiveError) -> int | None:
    """Whole seconds after which to try again; None if that is not the remedy."""
    if not isinstance(error, _RETRY):
        return None
    seconds = error.retry_after_seconds if error.retry_after_seconds is not None else _DEFAULT_RETRY_SECONDS
    return math.ceil(max(1, seconds) if isinstance(error, _EXACT) else min(_MAX_RETRY_SECONDS, max(1, seconds)))


def is_clients(error: BaseException) -> bool:
    """Whether a request ended in `error` by its client's doing: a fault in it, or because the client has left."""
    if isinstance(error, errors.TopfiveError):
        return http_status(error) not in _OURS
    return not isinstance(error, Exception)  # a cancellation: over gRPC, the client has left


def internal_error_text(request_id: str) -> str:
    """The message for a client after a defect of ours: no details, but where the operator finds them."""
    return f"internal error; the log has the details under request id {request_id}"
