"""The one image in a `multipart/form-data` body: what a browser's form or `curl -F image=@photo.jpg` sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import MalformedRequest
from service.routes.parameters import media_type_of

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

FIELD: Final = "image"
_MAX_BOUNDARY_BYTES: Final = 70
"""As RFC 2046 has it."""


def image_part(body: bytes, content_type: bytes) -> tuple[bytes, str]:
    """The bytes and media type (empty if not given) of the part named `image`; raises `MalformedRequest`."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= _MAX_BOUNDARY_BYTES:
        raise MalformedRequest("multipart/form-data needs a boundary of 1 to 70 bytes in its Content-Type")
    form = _Form()
    parser = MultipartParser(boundary, form.callbacks())
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise MalformedRequest(f"the multipart body cannot be read: {error}") from error
    if not form.complete:
        raise MalformedRequest("the multipart body is cut short: its closing boundary is missing")
    if form.names != [FIELD] or form.parts != 1:
        raise MalformedRequest(
            f"the form must have exactly one field, a file named '{FIELD}'; it has: "
            f"{', '.join(form.names)[:200] or 'none'}"
        )
    return b"".join(form.data), media_type_of(form.content_type)


class _Form:
    """Collects what the parser calls out."""

    def __init__(self) -> None:
        self.parts = 0
        self.names: list[str] = []
        self.data: list[bytes] = []
        self.content_type = b""
        self.complete = False
        self._header = bytearray()
        self._value = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        """For `MultipartParser`."""
        return {
            "on_part_begin": self._on_part_begin,
            "on_header_field": self._on_header_field,
            "on_header_value": self._on_header_value,
            "on_header_end": self._on_header_end,
            "on_part_data": self._on_part_data,
            "on_end": self._on_end,
        }

    def _on_part_begin(self) -> None:
        self.parts += 1

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        name, value = bytes(self._header).lower(), bytes(self._value)
        if name == b"content-disposition":
            self.names.append(parse_options_header(value)[1].get(b"name", b"").decode("utf-8", "replace"))
        elif name == b"content-type":
            self.content_type = value
        self._header.clear()
        self._value.clear()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self.data.append(data[start:end])

    def _on_end(self) -> None:
        self.complete = True
