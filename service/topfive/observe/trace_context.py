"""W3C Trace Context: which trace a request belongs to, by its headers `traceparent` and `tracestate`.

What lives here: reading them, by https://www.w3.org/TR/trace-context. What does not: spans (`serving.spans`). Invalid
headers are ignored, as the specification demands: no request fails because of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_VERSION: Final = b"ff"
_SAMPLED: Final = 1
_MAX_PARENT_BYTES: Final = 512
"""The most bytes of a `traceparent`: today's version has 55, a later one may have more."""
_MAX_STATE_BYTES: Final = 512
_MAX_MEMBERS: Final = 32
_KEY: Final = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER: Final = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The client's span: ids in lower-case hex, whether it is recorded, and the `tracestate`, empty without one."""

    trace_id: str
    span_id: str
    sampled: bool
    state: str


def read_trace_context(parent: bytes | None, state: bytes | None) -> TraceContext | None:
    """The context in `traceparent` and `tracestate`; None if `traceparent` is missing or invalid.

    An invalid `tracestate` counts as missing. Several lines of it must be joined by commas.
    """
    if parent is None or len(parent) > _MAX_PARENT_BYTES:
        return None
    found = _PARENT.fullmatch(parent.strip(b" \t"))
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == _NO_VERSION or (version == b"00" and more is not None) or not trace_id.strip(b"0"):
        return None
    if not span_id.strip(b"0"):
        return None
    sampled = bool(int(flags, 16) & _SAMPLED)
    return TraceContext(trace_id.decode(), span_id.decode(), sampled, _read_state(state))


def _read_state(given: bytes | None) -> str:
    if not given or len(given) > _MAX_STATE_BYTES:
        return ""
    members = [member.strip(" \t") for member in given.decode("latin-1").split(",")]
    found = [_MEMBER.fullmatch(member) for member in members if member]
    keys = {match[1] for match in found if match is not None}
    if len(found) > _MAX_MEMBERS or len(keys) < len(found):  # a member is invalid, or two have the same key
        return ""
    return ",".join(match[0] for match in found if match is not None)
