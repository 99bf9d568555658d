"""`docs/errors.md`: what can go wrong, from the classes of the errors and the table of their statuses."""

from __future__ import annotations

import inspect
from typing import Final

from topfive.ground import errors, statuses

_HEAD: Final = """\
# Errors

Every error that a client can get, and what to do about it. Made from the errors' classes and the table of
their statuses by `make docs-pages`.

The body of an error is always `{"error": "<what is wrong and how to put it right>", "code": "<for programs>"}`. Branch
on `code` or on the status; the text is for people and may change. Over gRPC the text is the status' details, and `code`
and `retry-after` are trailing metadata.

| HTTP | gRPC | `code` | when | what to do |
|---|---|---|---|---|
"""

_WHAT_TO_DO: Final[dict[type[errors.TopfiveError], str]] = {
    errors.MalformedRequest: "Correct the parameter, the shape or the length that the message names.",
    errors.Unsupported: "Use what the message names instead; `GET /v2` lists the extensions that are offered.",
    errors.ConfigurationError: "Correct the model that was to be loaded; the message names the field or the file. "
    "What was served before still is.",
    errors.BackendMismatch: "Give Triton and the service the same repository; the message names each difference.",
    errors.Unauthenticated: "Send `Authorization: Bearer <key>` with a key of `api_keys_file`.",
    errors.UnknownModel: "Name one of the models that the message or `POST /v2/repository/index` lists.",
    errors.TooLarge: "Send a smaller image or fewer of them, or raise the setting that the message names.",
    errors.MessageTooLarge: "Send the image as a file, or over HTTP, or raise `grpc_max_message_bytes`.",
    errors.UnsupportedMediaType: "Convert the image to one of the [served formats](images.md#what-is-decoded).",
    errors.UndecodableImage: "Send a whole, undamaged file: [what is refused as damaged](images.md#damage).",
    errors.QueueFull: "Send it again after `Retry-After` seconds. If it is frequent, add a replica or cores.",
    errors.RateLimited: "Send it again after `Retry-After` seconds, or have the `rate` of your key raised: "
    "[tenants](tenants.md).",
    errors.QuotaExceeded: "Wait for the time that the message names, or have the `quota` of your key raised.",
    errors.ClientDisconnected: "Nothing: the client hung up. It stands in the log and the metrics only.",
    errors.BackendFailure: "Look into the log under the request's id: the model or its backend failed on this image.",
    errors.NotReady: "Send it again after `Retry-After` seconds, or to another replica.",
    errors.BackendUnreachable: "The same; look at Triton if it lasts.",
    errors.StoreUnreachable: "The same; look at the store of the models if it lasts.",
    errors.DeadlineExceeded: "Allow more time (`timeout_ms`, `timeout`), or send less work.",
}

_OTHERS: Final = """
A defect of the service itself is answered with 500 `internal` and a request id, under which the log has the details.

## Of HTTP itself

These are answered before a request is known, or where there is no such route. Over gRPC there is nothing like them.

| HTTP | `code` | when | what to do |
|---|---|---|---|
| 400 | `malformed_request` | the HTTP can be read in two ways, or not at all \
| Correct the client or the proxy that wrote it. |
| 403 | `foreign_page` | a page of another site wants to load or unload models | Name its origin in `cors_origins`. |
| 404 | `not_found` | there is no such path \
| Look it up in the [HTTP API](http-api.md), or at `/docs` of the service. |
| 405 | `method_not_allowed` | the path has other methods | Use one of them. |
| 408 | `request_timeout` | the head or the body came too slowly (`head_seconds`, `body_seconds`), or a body that had \
stalled made room for others | Send it again, evenly. |
| 431 | `head_too_large` | the head has more than 64 KiB or 256 headers | Send fewer or shorter headers. |
"""


def errors_page() -> str:
    """The page as it should be."""
    rows = [
        f"| {status} | `{statuses.GRPC[error]}` | `{error.code}` | {_when(error)} | {_WHAT_TO_DO[error]} |"
        for error, status in statuses.HTTP.items()
    ]
    return _HEAD + "\n".join(rows) + "\n" + _OTHERS


def _when(error: type[errors.TopfiveError]) -> str:
    """The class' own words, as one line."""
    return " ".join((inspect.getdoc(error) or "").split())
