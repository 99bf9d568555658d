"""Asks a running service for what a baseline is made of: its metrics, or its answers to photos.

What lives here: requests over HTTP, one after the other. What does not: what is counted of them (`gating.baseline`).
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer, Prediction
from topfive_pipeline.proof.photos import Photo

_PATIENCE_SECONDS: Final = 60.0
_DENIED: Final = 401
_OK: Final = 200


@dataclass(frozen=True, slots=True)
class Service:
    """A running service at `url`, http(s)://host:port, and the key that it asks for, if it does."""

    url: str
    key: str = ""

    def metrics(self) -> str:
        """The text of its /metrics; raises `ConfigurationError`."""
        status, body = self._ask("/metrics")
        if status != _OK:
            raise self._refused("/metrics", status)
        return body.decode()

    def version(self, model: str) -> str:
        """The version of `model` that answers; raises `ConfigurationError` if it serves no such model."""
        path = f"/v2/models/{model}"
        status, body = self._ask(path)
        if status != _OK:
            raise self._refused(path, status)
        return str(max(map(int, json.loads(body)["versions"])))

    def answers(self, model: str, photos: Sequence[Photo], progress: Callable[[int], None]) -> list[Answer]:
        """What `model` answers to each of `photos`; `progress` is told how many are done."""
        found = []
        for photo in photos:
            found.append(self._answer(model, photo))
            progress(len(found))
        return found

    def _answer(self, model: str, photo: Photo) -> Answer:
        status, body = self._ask(f"/v1/classify?{urlencode({'model': model})}", photo.path.read_bytes())
        document: Any = json.loads(body)
        if status != _OK:
            return Answer(status, code=str(document.get("code", "")))
        return Answer(status, tuple(Prediction(**each) for each in document["predictions"]))

    def _ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ConfigurationError(f"--url {self.url}: say the service's address, as http://127.0.0.1:8000")
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        if body is not None:
            headers["Content-Type"] = "application/octet-stream"
        request = Request(f"{self.url.rstrip('/')}{path}", body, headers)  # noqa: S310  # the scheme is checked
        try:
            with urlopen(request, timeout=_PATIENCE_SECONDS) as answer:  # noqa: S310  # as above
                return answer.status, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()
        except (OSError, http.client.HTTPException) as error:
            raise ConfigurationError(f"--url {self.url}: the service does not answer ({error}); is it up?") from error

    def _refused(self, path: str, status: int) -> ConfigurationError:
        advice = "; give its key by BASELINE_API_KEY" if status == _DENIED else ""
        return ConfigurationError(f"--url {self.url}: {path} answers {status}{advice}")
