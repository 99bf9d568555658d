"""What a server under load is asked beside the load: its metrics, and its answer to each request."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from topfive_loadgen.asking import exchange
from topfive_loadgen.http1 import Response
from topfive_loadgen.metrics import Difference, Reading, parse
from topfive_loadgen.plan import Request
from topfive_loadgen.sockets import Address

_OK: Final = 200
_PATIENCE_SECONDS: Final = 20.0
_METRICS_SECONDS: Final = 5.0
"""A server that does not tell its metrics for so long tells none."""
_RESIDENT: Final = "process_resident_memory_bytes"
_MODELS: Final = "topfive_model_info"


def metrics(url: str, *, api_key: str = "") -> Reading:
    """What the server at `url` says of itself; raises `OSError` or `ValueError` if it does not."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_METRICS_SECONDS)
    try:
        connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
        answer = connection.getresponse()
        body = answer.read()
    except http.client.HTTPException as error:
        raise OSError(f"{url}/metrics: {str(error) or type(error).__name__}") from error
    finally:
        connection.close()
    if answer.status != _OK:
        raise ValueError(f"{url}/metrics answers {answer.status}")
    return parse(body.decode())


def since(first: Reading, url: str) -> Difference:
    """What the server at `url` has told of itself since `first`; raises as `metrics`."""
    return Difference(first, metrics(url))


def resident_bytes(url: str, *, api_key: str = "") -> float:
    """The resident memory of the server's processes together; raises as `metrics`, also if it does not tell it."""
    told = metrics(url, api_key=api_key).sum(_RESIDENT)
    if told is None:
        raise ValueError(f"{url}/metrics has no {_RESIDENT}")
    return told


def batch_limits(url: str, *, api_key: str = "") -> str:
    """The most images that each model of the server runs at once, as its metrics tell it; "" if they do not."""
    try:
        return ", ".join(metrics(url, api_key=api_key).labelled(_MODELS, "limit"))
    except (OSError, ValueError):
        return ""


def first_labels(url: str, requests: Sequence[bytes]) -> tuple[int | None, ...]:
    """The first label's index in the answer to each request, one after the other; None where it is refused."""
    answers = [_asked(url, request) for request in requests]
    return tuple(
        json.loads(answer.body)["predictions"][0]["index"] if answer.status == _OK else None for answer in answers
    )


def statuses(url: str, requests: Sequence[Request], *, patience: float = _PATIENCE_SECONDS) -> tuple[int, ...]:
    """The status of the answer to each request, one after the other; 0 where none came.

    Raises `OSError` if the server accepts no connection, or hangs: the others would wait as long for nothing.
    """
    found = []
    for request in requests:
        try:
            message = request if isinstance(request, bytes) else b"".join(request)
            found.append(_asked(url, message, patience).status)
        except ConnectionRefusedError:
            raise
        except TimeoutError as error:
            raise TimeoutError(f"no answer to a request within {patience:g} s") from error
        except (OSError, ValueError):  # it hung up on a body, say
            found.append(0)
    return tuple(found)


def _asked(url: str, message: bytes, patience: float = _PATIENCE_SECONDS) -> Response:
    """The answer to one request on a connection of its own."""
    address = Address.of(url, cafile=None)
    with socket.create_connection(address.where, patience) as line:
        if address.context is None:
            return exchange(line, message)
        with address.context.wrap_socket(line, server_hostname=address.name) as wrapped:
            return exchange(wrapped, message)
