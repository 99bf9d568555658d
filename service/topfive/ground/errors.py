"""The errors of the service: all exceptions that a client or an operator can be shown.

What lives here: one exception per row of the error table, each with its machine-readable `code`. What does not: the
status of each exception in HTTP and gRPC (`ground.statuses`).

Every message says what is wrong and how to put it right; it is shown to the client as it stands. The first line of each
docstring is the description of its status in the HTTP API's document (`http.docs`).
"""

from __future__ import annotations

from typing import ClassVar


class TopfiveError(Exception):
    """Base of all errors that a client or an operator is shown.

    `retry_after_seconds` is set if trying again later is the remedy. `logged` is the message for the log, if the one
    for the client quotes something that the client sent.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, logged: str | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        self.logged = message if logged is None else logged


class MalformedRequest(TopfiveError):
    """The request cannot mean anything: wrong parameter, dtype, shape or length."""

    code = "malformed_request"


class Unauthenticated(TopfiveError):
    """The request does not carry one of the API keys that this service asks for."""

    code = "unauthenticated"


class Unsupported(TopfiveError):
    """A part of the protocol that this service, or this way of running it, does not offer."""

    code = "unsupported"


class UnknownModel(TopfiveError):
    """No such model, or no such version of it, is served."""

    code = "unknown_model"


class TooLarge(TopfiveError):
    """The body, or an image in it, is over a limit of size, number or decoding time."""

    code = "too_large"


class MessageTooLarge(TooLarge):
    """A gRPC message is over the limit of its size."""


class UnsupportedMediaType(TopfiveError):
    """The Content-Type or Content-Encoding is not one that is served."""

    code = "unsupported_media_type"


class UndecodableImage(TopfiveError):
    """The bytes are not the image that they claim to be."""

    code = "undecodable_image"


class QueueFull(TopfiveError):
    """A bound on what waits or is held at once is reached, or the wait would be too long; retry later."""

    code = "queue_full"


class RateLimited(TopfiveError):
    """The tenant of the API key has sent more images in a short time than its rate lets in."""

    code = "rate_limited"


class QuotaExceeded(TopfiveError):
    """The tenant of the API key has used up its images of this hour, day or month."""

    code = "quota_exceeded"


class NotReady(TopfiveError):
    """The service is starting, draining or failed, or its backend cannot be reached."""

    code = "not_ready"


class BackendUnreachable(NotReady):
    """The backend cannot be reached, or no longer serves the right models; this may pass."""


class StoreUnreachable(NotReady):
    """The store that the models come from cannot be reached; this may pass."""


class DeadlineExceeded(TopfiveError):
    """The request's deadline passed, or would pass while it waits: there is no answer in time."""

    code = "deadline_exceeded"


class BackendFailure(TopfiveError):
    """The backend or the service itself failed: never the client's fault."""

    code = "internal"


class ClientDisconnected(TopfiveError):
    """The client hung up before its answer."""

    code = "client_disconnected"


class ConfigurationError(TopfiveError):
    """A setting, a `config.pbtxt` or a model file that cannot be served; raised at start or load only."""

    code = "configuration"


class BackendMismatch(ConfigurationError):
    """The backend serves other models than the repository holds; either may yet change."""
