"""API keys: who may ask, if the operator wants to know (`api_keys_file`).

What lives here: the keys and their comparison. What does not: what is open without one (`routes.authentication`,
`grpc_api`).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError, Unauthenticated

_SCHEME: Final = "bearer"
_MIN_KEY_CHARACTERS: Final = 16


class ApiKeys:
    """The keys, as digests of one length, so that a comparison tells nothing of them by its time."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.replace(keys)

    def replace(self, keys: Iterable[str]) -> None:
        """From the next request on, know `keys` and no others; from any thread."""
        self._digests = [_digest(key) for key in keys]

    def is_known(self, authorization: str) -> bool:
        """Whether `authorization`, as `Bearer <key>`, holds one of the keys."""
        scheme, _, key = authorization.partition(" ")
        digest = _digest(key.strip())
        # All are compared, whatever the first ones say: the time does not tell which it was.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches) and scheme.lower() == _SCHEME


def read_api_keys(path: Path) -> list[str]:
    """The keys in the file at `path`: one a line, blank lines and lines that begin with # left out.

    Raises `ConfigurationError` for a file that cannot be read or a key that is too short to be secret.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"api_keys_file '{path}' cannot be read: {error}") from error
    keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise ConfigurationError(f"api_keys_file '{path}' holds no key; write one a line, or leave the setting out")
    for number, key in enumerate(keys, 1):
        if len(key) < _MIN_KEY_CHARACTERS or not key.isprintable() or " " in key:
            raise ConfigurationError(
                f"api_keys_file '{path}': key {number} must have at least {_MIN_KEY_CHARACTERS} printable characters "
                "and no space; `openssl rand -hex 32` makes one"
            )
    return keys


def unauthenticated() -> Unauthenticated:
    """The refusal."""
    return Unauthenticated(
        "an API key is needed: send the header 'Authorization: Bearer <key>' with a key of this service"
    )


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
