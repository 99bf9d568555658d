"""Asks a contestant over HTTP, as its clients do: one image a request, and what is answered as values.

What lives here: one connection, refusals as answers, and patience with 429. What does not: which images
(`gating.asking`, `gating.cases`).
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlencode, urlsplit

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer, Prediction
from topfive_pipeline.gating.contestants import Contestant

FILE: Final = "application/octet-stream"
"""An image file is known by its first bytes, whatever its name says."""
OK: Final = 200
BUSY: Final = 429
_DENIED: Final = 401
_PATIENCE_SECONDS: Final = 60.0
"""For one answer, and for all waits of one request that is refused with 429."""
_LONGEST_WAIT_SECONDS: Final = 5.0
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SMALL: Final = 8
"""Pixels of each side of an image that asks only who answers."""

Sleep = Callable[[float], None]


class Unreachable(ConfigurationError):
    """The server of a contestant does not answer, or not as topfive does."""


class Client:
    """One connection to the server of a contestant, which is kept; for one thread. Closes with the context."""

    def __init__(self, contestant: Contestant, *, sleep: Sleep = time.sleep) -> None:
        self.contestant = contestant
        self._sleep = sleep
        parts = urlsplit(contestant.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=_PATIENCE_SECONDS)
        self._is_used = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def classify(self, body: bytes, *, media_type: str = FILE, query: Mapping[str, object] | None = None) -> Answer:
        """What is answered to one image; 429 is asked again for a while. Raises `Unreachable`."""
        return self._answer(*self._patiently(body, media_type, query or {}))

    def identity(self) -> tuple[str, int]:
        """The model and the version that answer; raises `ConfigurationError` with what is said if none does."""
        status, document, _ = self._patiently(bytes(_SMALL * _SMALL * 3), FILE, {"height": _SMALL, "width": _SMALL})
        if status != OK:
            said = _text(document.get("error", "it does not say why"))
            advice = "; set GATE_API_KEY, or GATE_LIVE_API_KEY" if status == _DENIED else ""
            raise ConfigurationError(f"{self.contestant.title} answers {status} to an image: {said}{advice}")
        try:
            return _text(document["model"]), int(document["version"])
        except (KeyError, TypeError, ValueError):
            raise self._strange() from None

    def _patiently(
        self, body: bytes, media_type: str, query: Mapping[str, object]
    ) -> tuple[int, Mapping[str, Any], float]:
        waited = 0.0
        while True:
            status, document, wait = self._once(body, media_type, query)
            wait = min(max(wait, 0.1), _LONGEST_WAIT_SECONDS)
            if status != BUSY or waited + wait > _PATIENCE_SECONDS:
                return status, document, wait
            self._sleep(wait)
            waited += wait

    def _once(self, body: bytes, media_type: str, query: Mapping[str, object]) -> tuple[int, Mapping[str, Any], float]:
        """The status, the JSON of the answer ({} if it is none), and the seconds of `Retry-After`."""
        one = self.contestant
        named = {"model": one.model or None, "version": one.version}
        asked = {name: value for name, value in {**named, **query}.items() if value is not None}
        headers = {"Content-Type": media_type} | ({"Authorization": f"Bearer {one.api_key}"} if one.api_key else {})
        path = f"/v1/classify?{urlencode(asked)}" if asked else "/v1/classify"
        try:
            response = self._exchange(path, body, headers)
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            said = f"{one.title} does not answer at {one.url} ({str(error) or type(error).__name__})"
            raise Unreachable(f"{said}; {_advice(error)}") from error
        self._is_used = True
        try:
            document = json.loads(content)
        except ValueError:
            document = {}
        retry = response.headers.get("Retry-After") or ""
        return response.status, document if isinstance(document, dict) else {}, float(retry) if retry.isdigit() else 0.0

    def _exchange(self, path: str, body: bytes, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """One exchange; again on a new connection if the server closed the old one while nothing was on it."""
        try:
            self._connection.request("POST", path, body, dict(headers))
            return self._connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._connection.close()
            if not self._is_used:
                raise
            self._is_used = False
            return self._exchange(path, body, headers)

    def _answer(self, status: int, document: Mapping[str, Any], _: float) -> Answer:
        if status != OK:
            return Answer(status, code=_text(document.get("code", "")))
        try:
            predictions = tuple(
                Prediction(_text(each["label"]), int(each["index"]), float(each["probability"]))
                for each in document["predictions"]
            )
        except (KeyError, TypeError, ValueError):
            raise self._strange() from None
        if not all(0 <= each.probability <= 1 for each in predictions):  # nor is NaN, which some JSON has
            raise self._strange()
        return Answer(status, predictions)

    def _strange(self) -> Unreachable:
        return Unreachable(
            f"{self.contestant.title}: what answers at {self.contestant.url} does not answer as topfive does; is it "
            "the right address?"
        )


def _advice(error: Exception) -> str:
    """What to do about an exchange that failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return "if you trust who signed its certificate, name the file of that authority by SSL_CERT_FILE"
    return "is its server still up? See its log"


def _text(value: object) -> str:
    """What a service said, for a terminal and for files: another's words must not move the cursor."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", str(value))


def identified(contestant: Contestant) -> Contestant:
    """`contestant` with the model and the version that answer; raises `ConfigurationError` if none does."""
    with Client(contestant) as client:
        model, version = client.identity()
    return replace(contestant, model=model, version=version)
