"""API keys: if the operator sets `api_keys_file`, requests need a key from that file.

What lives here: the keys and their comparison. What does not: which routes need no key (`http.authentication`,
`grpc.authentication`).
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
    """The keys, kept as digests of equal length, so that the time of a comparison tells nothing about them."""

    def __init__(self, keys: Iterable[str]) -> None:
        self.replace(keys)

    def replace(self, keys: Iterable[str]) -> None:
        """Accept only `keys` from the next request on; may be called on any thread."""
        self._digests = [_digest(key) for key in keys]

    def is_known(self, authorization: str) -> bool:
        """Whether `authorization`, as `Bearer <key>`, holds one of the keys."""
        scheme, _, key = authorization.partition(" ")
        digest = _digest(key.strip())
        # All keys are compared, even after a match, so that the time does not tell which key matched.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        return any(matches) and scheme.lower() == _SCHEME


def read_api_keys(path: Path) -> list[str]:
    """The keys in the file at `path`: one on each line; blank lines and lines that begin with # are skipped.

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
    """The error for a request without a known key."""
    return Unauthenticated(
        "an API key is needed: send the header 'Authorization: Bearer <key>' with a key of this service"
    )


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
