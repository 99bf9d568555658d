"""Asks a running service for what a baseline is made of: its metrics, or its answers to photos.

What lives here: what is asked besides photos. What does not: asking about these (`gating.client`), and what is counted
of the answers (`gating.baseline`).
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.error import HTTPError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer
from topfive_pipeline.gating.client import Client
from topfive_pipeline.gating.contestants import Contestant
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
        path = f"/v2/models/{quote(model, safe='')}"
        status, body = self._ask(path)
        if status != _OK:
            raise self._refused(path, status)
        try:
            return str(max(map(int, json.loads(body)["versions"])))
        except (KeyError, TypeError, ValueError):
            raise ConfigurationError(
                f"--url {self.url}: {path} is not answered as topfive does; is it the right address?"
            ) from None

    def answers(self, model: str, photos: Sequence[Photo], progress: Callable[[int], None]) -> list[Answer]:
        """What `model` answers to each of `photos`; `progress` is told how many are done. Raises `Unreachable`."""
        found = []
        with Client(Contestant(title=f"--url {self.url}", url=self.url, model=model, api_key=self.key)) as client:
            for photo in photos:
                found.append(client.classify(photo.path.read_bytes()))
                progress(len(found))
        return found

    def _ask(self, path: str) -> tuple[int, bytes]:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise ConfigurationError(f"--url {self.url}: say the service's address, as http://127.0.0.1:8000")
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        request = Request(f"{self.url.rstrip('/')}{path}", headers=headers)  # noqa: S310  # the scheme is checked
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
