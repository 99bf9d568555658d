"""The query string and media type of `POST /v1/classify`, checked before anything else is done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl

from topfive.ground.errors import MalformedRequest
from topfive.images.decoding import RawShape
from topfive.request.sources import EncodedImage, Source

RAW: Final = "application/octet-stream"
MULTIPART: Final = "multipart/form-data"
JSON: Final = "application/json"

_NAMES: Final = ("model", "version", "timeout_ms", "height", "width", "count", "top", "threshold")
_USUAL_BYTES: Final = 256
"""The longest query whose result is kept: a thousand of the longest possible ones would be a hundred megabytes."""
_MAX_DIGITS: Final = 12
_SHARE: Final = re.compile(r"(?:[0-9]{1,12})?\.?[0-9]{1,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parameters:
    """The query of a request; None where a parameter is absent."""

    model: str | None
    version: int | None
    timeout_seconds: float | None
    height: int | None
    width: int | None
    count: int | None
    top: int | None
    threshold: float | None

    @property
    def has_size(self) -> bool:
        """Whether the query gives any size; only raw pixels need one."""
        return self.height is not None or self.width is not None or self.count is not None

    def raw_shape(self) -> RawShape:
        """The shape of a raw body; raises `MalformedRequest` if height or width is missing."""
        if self.height is None or self.width is None:
            raise MalformedRequest(
                "raw pixels need both ?height= and ?width= in the URL; for an image file leave them, and count, out"
            )
        return RawShape(self.height, self.width, self.count or 1)


def parse_query(query: bytes) -> Parameters:
    """Parse a query string; raises `MalformedRequest`."""
    return _parse_again(query) if len(query) <= _USUAL_BYTES else _parse(query)


def _parse(query: bytes) -> Parameters:
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
        top=_number(values, "top"),
        threshold=_share(values, "threshold"),
    )


_parse_again: Final = lru_cache(maxsize=1024)(_parse)
"""`_parse` with a cache: clients send the same queries over and over."""


def _number(values: dict[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    # int() alone would also accept "1_0", " 1", "+1" and digits of other scripts.
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise MalformedRequest(f"the query parameter '{name}' must be a plain decimal number, not '{text[:50]}'")
    if int(text) == 0:
        raise MalformedRequest(f"the query parameter '{name}' must be at least 1")
    return int(text)


def _share(values: dict[str, str], name: str) -> float | None:
    text = values.get(name)
    if text is None:
        return None
    # float() alone would also accept "nan", "1_0", " 1" and digits of other scripts.
    if _SHARE.fullmatch(text) is None or not 0 <= (share := float(text)) <= 1:
        raise MalformedRequest(f"the query parameter '{name}' must be a number from 0 to 1, not '{text[:50]}'")
    return share


def media_type_of(header: bytes) -> str:
    """The media type of a Content-Type header, lower case, without its parameters."""
    return header.split(b";", 1)[0].strip().lower().decode("latin-1")


def is_form(media_type: str) -> bool:
    """Whether a body of `media_type` is a form. Any multipart type is: mail libraries send forms under other names."""
    return media_type.startswith("multipart/")


def source_of(media_type: str, parameters: Parameters) -> Source:
    """How to read a body of `media_type` that is not a form; raises `MalformedRequest`.

    A body with a size in the query is raw pixels. Any other body is an image file, whose first bytes tell its format;
    the media type cannot tell it, because it may be just the default of curl.
    """
    if not parameters.has_size:
        return EncodedImage()
    if media_type.startswith("image/") or media_type == JSON:
        raise MalformedRequest("height, width and count are for raw pixels; an encoded image knows its own size")
    return parameters.raw_shape()
