"""Recognises text: the documents and encodings that clients send by mistake in place of an image."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_BYTE_ORDER_MARKS: Final = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
_BEFORE_ELEMENTS: Final = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->)", re.DOTALL)
_BASE64_OF_IMAGES: Final = ("/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR", "SUkqA", "TU0AK")
_BYTES: Final = "send the image's own bytes"


@dataclass(frozen=True, slots=True)
class Text:
    """A kind of text: its `name` in an error message, and a `remedy` if the usual one does not help."""

    name: str
    remedy: str | None = None


_BEGINNINGS: Final = (
    ("%pdf-", Text("a PDF")),
    ("%!ps", Text("a PostScript document")),
    ("data:", Text("a data: URL", f"{_BYTES}, decoded from base64")),
    ("http://", Text("an address", f"{_BYTES}, not where they are")),
    ("https://", Text("an address", f"{_BYTES}, not where they are")),
    ("version https://git-lfs", Text("a Git LFS pointer", "fetch the file with git lfs pull and send that")),
    ("{\\rtf", Text("an RTF document")),
    ("{", Text("JSON", f"{_BYTES} as the body")),
    ("[", Text("JSON", f"{_BYTES} as the body")),
)


def name_of_text(head: bytes) -> Text | None:
    """The kind of text of a file that begins with `head`; None if it is no known kind."""
    text = _decoded(head)
    start = text.lstrip().lower()
    for beginning, kind in _BEGINNINGS:
        if start.startswith(beginning):
            return kind
    if text.startswith(_BASE64_OF_IMAGES):
        return Text("an image as base64 text", f"{_BYTES}, decoded from base64")
    if text.startswith("--") and "content-disposition:" in start:
        return Text("a form", "send it with its own Content-Type, multipart/form-data; boundary=...")
    return _markup(text) if start.startswith("<") else None


def _decoded(head: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "replace")
    return head.decode("latin-1")


def _markup(text: str) -> Text:
    """The kind of a markup document, by its first element after declarations and comments."""
    is_xml = text.lstrip().startswith("<?xml")
    at = 0
    while (skipped := _BEFORE_ELEMENTS.match(text, at)) is not None:
        at = skipped.end()
    start = text[at:].lstrip().lower()
    if re.match(r"<(?:!doctype\s+)?(?:[\w.-]+:)?svg\b", start):
        return Text("an SVG")
    if re.match(r"<(?:!doctype\s+)?(?:html|head|body|title|script)\b", start):
        return Text("an HTML page")
    return Text("an XML document" if is_xml else "a document of markup (HTML, XML or SVG)")
