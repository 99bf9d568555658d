"""Image files as base64 text, the form in which JSON holds bytes.

Accepted are the standard and the URL-safe alphabet, with or without padding, white space anywhere, and data: URLs.
Anything else is refused. A lenient decoder would skip it, and what is left would be a damaged image.
"""

from __future__ import annotations

import binascii
from typing import Final

from topfive.ground.errors import MalformedRequest

_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_BLANKS: Final = b" \t\r\n"
_CHUNK: Final = 1 << 20
"""Characters, in whole groups of four, that are decoded in one step, during which no other thread runs."""
_PREFIX: Final = "data:"
_MAX_PREFIX_CHARACTERS: Final = 256


def decoded(text: str, *, name: str) -> bytes:
    """The bytes that `text` holds; raises `MalformedRequest`, whose message calls the text `name`."""
    if text[: len(_PREFIX)].lower() == _PREFIX:
        text = _after_the_prefix(text, name)
    try:
        digits = text.encode("ascii")
    except UnicodeEncodeError as error:
        raise MalformedRequest(
            f"{name} is not base64: character {error.start} of it is none of A-Z a-z 0-9 + / - _ ="
        ) from None
    if any(blank in digits for blank in (b" ", b"\t", b"\r", b"\n")):
        digits = digits.translate(None, _BLANKS)
    if b"-" in digits or b"_" in digits:
        digits = digits.translate(_URL_SAFE)
    stripped = digits.rstrip(b"=")
    padding = len(digits) - len(stripped)
    left = len(stripped) % 4
    # Padding may be left out; but if it is there, it must fit the number of digits.
    if left == 1 or padding not in (0, -left % 4) or b"=" in stripped:
        raise MalformedRequest(
            f"{name} is not base64: {len(stripped)} digits and {padding} of '=' at the end cannot be whole bytes; "
            "was it cut short?"
        )
    stripped += b"=" * (-left % 4)
    try:
        return b"".join(
            binascii.a2b_base64(stripped[start : start + _CHUNK], strict_mode=True)
            for start in range(0, len(stripped), _CHUNK)
        )
    except binascii.Error:
        raise MalformedRequest(
            f"{name} is not base64: it has characters beside A-Z a-z 0-9 + / (or - _) and '=' at the end"
        ) from None


def _after_the_prefix(text: str, name: str) -> str:
    """The part of a data: URL after its comma."""
    comma = text.find(",", 0, _MAX_PREFIX_CHARACTERS)
    if comma < 0 or not text[:comma].rstrip().lower().endswith(";base64"):
        raise MalformedRequest(f"{name} is a data: URL that is not base64; send data:image/...;base64,...")
    return text[comma + 1 :]
