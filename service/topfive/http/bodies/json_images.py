"""Images as base64 in a JSON body: `{"image": {"b64": "..."}}`, `{"images": [...]}`, and TF Serving's `instances`.

What lives here: the accepted shapes of the JSON. What does not: base64 (`images.files.base64_text`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.images.files.base64_text import decoded

INSTANCES: Final = "instances"
_KINDS: Final = ("image", "images", INSTANCES)
_HOW: Final = 'send {"image": {"b64": "<base64>"}}, {"images": [...]} or {"instances": [{"b64": "<base64>"}, ...]}'
_MAX_VALUES: Final = 1 << 12
"""The most values, lists and objects in the JSON: the parser takes longer for them than for text, and never pauses."""


def check_json(length: int, *, most: int) -> None:
    """Raise `TooLarge` if `length` bytes of JSON are more than `most`."""
    if length > most:
        raise TooLarge(
            f"the body has {length} bytes of JSON, and at most {most} are accepted; send the image's own bytes as the "
            "body, or several as a form (multipart/form-data)"
        )


def read_json(body: bytes | memoryview, *, max_images: int) -> tuple[list[bytes], list[str], str]:
    """The image files in `body`, their names for error messages, and the key that they were under.

    Raises `MalformedRequest` or `TooLarge`.
    """
    text = bytes(body).removeprefix(b"\xef\xbb\xbf")
    if text.count(b",") + text.count(b"[") + text.count(b"{") > _MAX_VALUES:
        raise TooLarge(f"the body's JSON has more than {_MAX_VALUES} values; {_HOW}, and no pixels as numbers")
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not JSON: {error}; {_HOW}") from error
    if not isinstance(document, dict):
        raise MalformedRequest(f"the body must be a JSON object; {_HOW}")
    document.pop("signature_name", None)  # TF Serving's clients send it
    if len(document) != 1 or (kind := next(iter(document))) not in _KINDS:
        keys = ", ".join(f"'{key[:50]}'" for key in list(document)[:10]) or "nothing"
        raise MalformedRequest(f"the body's JSON must hold one of {', '.join(_KINDS)}, and holds {keys}; {_HOW}")
    given = document[kind]
    if kind == "image":
        return [_file(given, "'image'")], ["'image'"], kind
    if not isinstance(given, list) or not given:
        raise MalformedRequest(f"'{kind}' must be a list of at least one image; {_HOW}")
    if len(given) > max_images:
        raise TooLarge(f"the request has {len(given)} images; at most {max_images} are accepted in one")
    names = [f"'{kind}[{index}]'" for index in range(len(given))]
    return [_file(each, name) for each, name in zip(given, names, strict=True)], names, kind


def _file(given: Any, name: str) -> bytes:
    """The bytes of one image file; TF Serving's clients may or may not wrap it in the name of the model's input."""
    if isinstance(given, Mapping) and len(given) == 1 and "b64" not in given:
        given = next(iter(given.values()))
    if isinstance(given, Mapping) and given.keys() == {"b64"}:
        given = given["b64"]
    if not isinstance(given, str):
        kind = {list: "a list", dict: "an object", type(None): "null"}.get(type(given), "a number or a boolean")
        raise MalformedRequest(f"{name} must be an image file in base64, and is {kind}; {_HOW}")
    file = decoded(given, name=name)
    if not file:
        raise MalformedRequest(f"{name} is empty; {_HOW}")
    return file
