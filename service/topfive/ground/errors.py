"""The closed set of things that can go wrong, as the core raises them.

What lives here: one exception per row of the error table, each with its machine-readable `code`. What does not:
protocols. The edges map each class to a status, once (`statuses`).

Every message says what is wrong and how to put it right; it is shown to the client as it stands.
"""

from __future__ import annotations

from typing import ClassVar


class TopfiveError(Exception):
    """Base of all errors that a client or an operator is shown.

    `retry_after_seconds` is set where trying again later is the remedy. `logged` is what the log is told, where the
    message shows some of what a client sent.
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
    """The body, or the image it announces, is over a limit; found before decoding."""

    code = "too_large"


class MessageTooLarge(TooLarge):
    """A gRPC message is over the limit, whatever is in it."""


class UnsupportedMediaType(TopfiveError):
    """The Content-Type or Content-Encoding is not one that is served."""

    code = "unsupported_media_type"


class UndecodableImage(TopfiveError):
    """The bytes are not the image that they claim to be."""

    code = "undecodable_image"


class QueueFull(TopfiveError):
    """A bound on waiting items or bytes is reached; nothing was enqueued."""

    code = "queue_full"


class NotReady(TopfiveError):
    """The service is starting, draining or failed, or its backend cannot be reached."""

    code = "not_ready"


class BackendUnreachable(NotReady):
    """What runs the graphs cannot be reached, or no longer serves what it must; that may pass."""


class DeadlineExceeded(TopfiveError):
    """The request's deadline passed, or would pass while it waits: there is no answer in time."""

    code = "deadline_exceeded"


class BackendFailure(TopfiveError):
    """The backend failed on a batch: our fault, never the client's."""

    code = "internal"


class ClientDisconnected(TopfiveError):
    """The client hung up before its answer: there is nobody to tell."""

    code = "client_disconnected"


class ConfigurationError(TopfiveError):
    """A setting, a `config.pbtxt` or a model file that cannot be served; raised at start or load only."""

    code = "configuration"


class BackendMismatch(ConfigurationError):
    """What runs the graphs serves something else than the repository holds; either may yet change."""
