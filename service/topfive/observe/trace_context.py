"""W3C Trace Context: which trace a request belongs to, as its headers `traceparent` and `tracestate` say.

What lives here: reading them, by https://www.w3.org/TR/trace-context. What does not: spans (`spans`). What is not
valid is ignored, as the specification wants it: nobody's request fails for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_PARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_VERSION: Final = b"ff"
_SAMPLED: Final = 1
_MAX_PARENT_BYTES: Final = 512
"""Of a version to come: that of today has 55."""
_MAX_STATE_BYTES: Final = 512
_MAX_MEMBERS: Final = 32
_KEY: Final = r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
_MEMBER: Final = re.compile(rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The span of the caller: ids in lower-case hex, whether it is recorded, and what tracing systems add, or ""."""

    trace_id: str
    span_id: str
    sampled: bool
    state: str


def read_trace_context(parent: bytes | None, state: bytes | None) -> TraceContext | None:
    """What `traceparent` and `tracestate` say; None for no `traceparent` or an invalid one.

    An invalid `tracestate` is as none. Several lines of it are one, joined by commas.
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
    if len(found) > _MAX_MEMBERS or len(keys) < len(found):  # one is no member, or two have one key
        return ""
    return ",".join(match[0] for match in found if match is not None)
