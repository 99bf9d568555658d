"""Content codings: bodies of requests are inflated within bounds, answers are deflated if the client asks for that.

Only gzip (RFC 1952) and deflate (the zlib format, RFC 1950) are served: the protocol's clients know no others.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable
from typing import Any, Final

from topfive.ground.errors import MalformedRequest, TooLarge, UnsupportedMediaType

_WINDOW_BITS: Final = {b"gzip": 31, b"deflate": 15}
_INPUT_STEP_BYTES: Final = 1 << 20
_OUTPUT_STEP_BYTES: Final = 4 << 20
"""The most bytes that one step inflates before the bounds are checked again."""
_FAST: Final = 1
"""The level for answers: they have a few hundred bytes, of which a higher level would save only a few."""
_MAX_CHOICES: Final = 32
"""How many choices of an Accept-Encoding header are looked at; clients send three or four."""

Run = Callable[..., Awaitable[Any]]
"""Runs a call on another thread."""


def coding_of(header: bytes) -> bytes:
    """The coding in a Content-Encoding header, empty for none; raises `UnsupportedMediaType`."""
    coding = header.strip().lower()
    if coding in (b"", b"identity"):
        return b""
    if coding not in _WINDOW_BITS:
        raise UnsupportedMediaType(
            f"Content-Encoding '{header[:50].decode('latin-1')}' is not served; send gzip, deflate, or no encoding"
        )
    return coding


async def inflate(
    body: bytes | memoryview, coding: bytes, *, limit: int, charge: Callable[[int], None], run: Run
) -> bytes:
    """`body` inflated to at most `limit` bytes; `charge` is called with the number of new bytes, and may raise.

    Raises `MalformedRequest` if `body` is not exactly one complete stream of that coding, and `TooLarge`.
    """
    inflater = zlib.decompressobj(_WINDOW_BITS[coding])
    waiting = memoryview(body)
    parts: list[bytes] = []
    total = 0
    while not inflater.eof:
        taken = inflater.unconsumed_tail or waiting[:_INPUT_STEP_BYTES]
        if not inflater.unconsumed_tail:
            waiting = waiting[_INPUT_STEP_BYTES:]
        if not taken:
            raise MalformedRequest(f"the body ends before its {coding.decode()} stream does; send all of it")
        try:
            part = await run(inflater.decompress, taken, _OUTPUT_STEP_BYTES)
        except zlib.error as error:
            raise MalformedRequest(f"the body is not the {coding.decode()} that it claims to be: {error}") from error
        total += len(part)
        if total > limit:
            raise TooLarge(f"the body inflates to more than {limit} bytes, the most that is accepted")
        charge(len(part))
        parts.append(part)
    if inflater.unused_data or waiting:
        raise MalformedRequest(f"bytes follow the end of the body's {coding.decode()} stream; leave them out")
    return b"".join(parts)


def coding_wanted(header: bytes) -> bytes:
    """The coding for the answer, by an Accept-Encoding header: the first with the highest weight; empty for none.

    `*` and codings that are not offered are skipped, as other inference servers do.
    """
    best, best_weight = b"", 0.0
    for choice in header.lower().split(b",", _MAX_CHOICES)[:_MAX_CHOICES]:
        name, _, parameters = choice.partition(b";")
        name = name.strip()
        weight = _weight(parameters)
        if (name in _WINDOW_BITS or name == b"identity") and weight > best_weight:
            best, best_weight = name, weight
    return b"" if best == b"identity" else best


def deflate(body: bytes, coding: bytes) -> bytes:
    """`body` in `coding`."""
    return zlib.compress(body, _FAST, wbits=_WINDOW_BITS[coding])


def _weight(parameters: bytes) -> float:
    name, _, value = parameters.partition(b"=")
    if name.strip() != b"q":
        return 1.0
    try:
        return float(value)
    except ValueError:
        return 0.0
