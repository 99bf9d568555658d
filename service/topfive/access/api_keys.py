"""API keys: if the operator sets `api_keys_file`, requests need a key from that file.

What lives here: the keys and their comparison. What does not: their file (`access.key_file`), and which routes need no
key (`http.authentication`, `grpc.authentication`).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from topfive.access.tenants import Tenant
from topfive.ground.errors import Unauthenticated

_SCHEME: Final = "bearer"


class ApiKeys:
    """The keys, kept as digests of equal length, so that the time of a comparison tells nothing about them."""

    def __init__(self, holders: Mapping[str, Tenant]) -> None:
        self.replace(holders)

    def replace(self, holders: Mapping[str, Tenant]) -> None:
        """Accept only these keys from the next request on, each of its tenant; may be called on any thread."""
        self._holders = [(_digest(key), tenant) for key, tenant in holders.items()]

    def tenant_of(self, authorization: str) -> Tenant | None:
        """The tenant whose key `authorization`, as `Bearer <key>`, holds; None if it holds none of the keys."""
        scheme, _, key = authorization.partition(" ")
        digest = _digest(key.strip())
        found = None
        # All keys are compared, even after a match, so that the time does not tell which key matched.
        for known, tenant in self._holders:
            if hmac.compare_digest(digest, known):
                found = tenant
        return found if scheme.lower() == _SCHEME else None


def unauthenticated() -> Unauthenticated:
    """The error for a request without a known key."""
    return Unauthenticated(
        "an API key is needed: send the header 'Authorization: Bearer <key>' with a key of this service"
    )


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
