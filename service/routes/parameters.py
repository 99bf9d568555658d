"""The query string and media type of `POST /v1/classify`, checked before anything else is done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from service.classifier import EncodedImage, Source
from service.errors import MalformedRequest, UnsupportedMediaType
from service.images import ANY_IMAGE, ENCODED_MEDIA_TYPES, RawShape

RAW: Final = "application/octet-stream"
MULTIPART: Final = "multipart/form-data"

_NAMES: Final = ("model", "version", "timeout_ms", "height", "width", "count")
_MAX_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Parameters:
    """The query of a request; None where a parameter is absent."""

    model: str | None
    version: int | None
    timeout_seconds: float | None
    height: int | None
    width: int | None
    count: int | None


@lru_cache(maxsize=1024)
def parse_query(query: bytes) -> Parameters:
    """Parse a query string; raises `MalformedRequest`. Clients repeat themselves, so results are kept."""
    try:
        text = query.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=2 * len(_NAMES), errors="strict")
    except ValueError as error:
        raise MalformedRequest(f"the query string cannot be read: {error}") from error
    values: dict[str, str] = {}
    for name, value in pairs:
        if name not in _NAMES:
            raise MalformedRequest(f"there is no query parameter '{name[:50]}'; there are: {', '.join(_NAMES)}")
        if name in values:
            raise MalformedRequest(f"the query parameter '{name}' is given twice")
        values[name] = value
    timeout_ms = _number(values, "timeout_ms")
    return Parameters(
        model=values.get("model"),
        version=_number(values, "version"),
        timeout_seconds=None if timeout_ms is None else timeout_ms / 1000,
        height=_number(values, "height"),
        width=_number(values, "width"),
        count=_number(values, "count"),
    )


def _number(values: dict[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    # int() alone would take "1_0", " 1", "+1" and other scripts' digits.
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise MalformedRequest(f"the query parameter '{name}' must be a plain decimal number, not '{text[:50]}'")
    if int(text) == 0:
        raise MalformedRequest(f"the query parameter '{name}' must be at least 1")
    return int(text)


def media_type_of(header: bytes) -> str:
    """The media type of a Content-Type header, lower case, without its parameters, under its registered name."""
    name = header.split(b";", 1)[0].strip().lower().decode("latin-1")
    return "image/jpeg" if name == "image/jpg" else name  # what many clients send


def source_of(media_type: str, parameters: Parameters, *, in_form: bool = False) -> Source:
    """How a body, or a form's part, of `media_type` is to be read.

    Raises `MalformedRequest` or `UnsupportedMediaType`. A part of a form without a telling type is looked at.
    """
    has_size = parameters.height is not None or parameters.width is not None or parameters.count is not None
    if media_type == RAW and (has_size or not in_form):
        if parameters.height is None or parameters.width is None:
            raise MalformedRequest(
                "raw pixels need ?height= and ?width= in the URL; for a JPEG or PNG file send its own Content-Type, "
                "e.g. image/jpeg"
            )
        return RawShape(parameters.height, parameters.width, parameters.count or 1)
    if media_type not in ENCODED_MEDIA_TYPES and not (in_form and media_type in ("", RAW, ANY_IMAGE)):
        raise UnsupportedMediaType(
            f"Content-Type '{media_type[:100]}' is not served; send {RAW} (raw uint8 RGB), "
            f"{', '.join(ENCODED_MEDIA_TYPES)} or {MULTIPART}"
        )
    if has_size:
        raise MalformedRequest("height, width and count are for raw pixels; an encoded image knows its own size")
    return EncodedImage()
