"""Finds the images in a form or JSON, and tells JSON from an image file.

What lives here: which parts of a form are images, also if the client names or types them wrongly. What does not: the
syntax of forms and JSON (`http.bodies.multipart`, `http.bodies.json_images`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from topfive.ground.errors import MalformedRequest, TooLarge
from topfive.http.bodies.json_images import INSTANCES, check_json, read_json
from topfive.http.bodies.multipart import Part, read_form
from topfive.http.parameters import JSON, Parameters, is_form
from topfive.images.decoding import ImageLimits, RawShape
from topfive.images.files.formats import sniff
from topfive.request.sources import Body, EncodedImage, EncodedImages, Source

_FURTHER_PARTS: Final = 64
"""How many parts a form may have beside its images."""
_TEXT_TYPES: Final = ("text/", "application/json", "application/xml", "application/x-www-form-urlencoded")
_USUAL_NAMES: Final = ("image", "file", "data", "photo", "upload")


@dataclass(frozen=True, slots=True)
class Upload:
    """The images of a request. The answer is a list if `listed`, and fits TF Serving's clients too if `instances`."""

    timeout_seconds = None
    priority = 0

    body: Body
    source: Source
    listed: bool
    instances: bool = False
    copied_bytes: int = 0
    """Bytes that were decoded from the body's base64, and are held beside the body."""


def holds_json(body: bytes | memoryview, media_type: str) -> bool:
    """Whether `body`, which must not be raw pixels, is JSON: no image file begins with a brace."""
    return body[0] == 0x7B or (media_type == JSON and not _is_image(body))


def read_upload(
    body: bytes | memoryview,
    content_type: bytes,
    media_type: str,
    parameters: Parameters,
    *,
    limits: ImageLimits,
    max_json_bytes: int,
) -> Upload:
    """The images in `body`, a form or JSON; raises `MalformedRequest` or `TooLarge`."""
    if is_form(media_type):
        parts = read_form(body, content_type, max_parts=limits.max_images + _FURTHER_PARTS)
        return _from_form(parts, parameters, limits)
    check_json(len(body), most=max_json_bytes)
    files, names, kind = read_json(body, max_images=limits.max_images)
    copied = sum(map(len, files))
    if kind == "image":
        return Upload(files[0], EncodedImage(), listed=False, copied_bytes=copied)
    return Upload(files, EncodedImages(names), listed=True, instances=kind == INSTANCES, copied_bytes=copied)


def _from_form(parts: Sequence[Part], parameters: Parameters, limits: ImageLimits) -> Upload:
    filled = [part for part in parts if len(part.data)]
    copied = sum(len(part.data) for part in filled if isinstance(part.data, bytes))
    if parameters.has_size:
        return _raw_part(filled, parameters.raw_shape(), limits)
    images = [part for part in filled if _is_image(part.data) or _claims_to_be_one(part)]
    images = images or [part for part in filled if part.filename or part.name in _USUAL_NAMES][:1]
    if not images:
        raise MalformedRequest(f"no part of the form holds an image; {_shown(parts)}")
    if len(images) == 1:
        return Upload(images[0].data, EncodedImage(), listed=False, copied_bytes=copied)
    if len(images) > limits.max_images:
        raise TooLarge(f"the request has {len(images)} images; at most {limits.max_images} are accepted in one")
    names = [str(part) for part in images]
    return Upload([part.data for part in images], EncodedImages(names), listed=True, copied_bytes=copied)


def _raw_part(filled: Sequence[Part], shape: RawShape, limits: ImageLimits) -> Upload:
    """The part with the pixels that `?height=&width=` describe: the only file, or else the only part it can be."""
    shape.check(limits)
    files = [part for part in filled if part.filename or _claims_to_be_one(part)]
    files = files or [part for part in filled if part.name in _USUAL_NAMES] or list(filled)
    if len(files) != 1:
        raise MalformedRequest(f"a form with raw pixels must hold one file, with all of them; {_shown(filled)}")
    part = files[0]
    if part.media_type.startswith("image/"):
        raise MalformedRequest(
            f"height, width and count are for raw pixels, and {part} is {part.media_type[:50]}; leave them out"
        )
    return Upload(part.data, shape, listed=False)


def _is_image(data: bytes | bytearray | memoryview) -> bool:
    found = sniff(data)
    return found is not None and found.is_served


def _claims_to_be_one(part: Part) -> bool:
    """Whether `part` is meant as an image, so that leaving it out would answer for fewer images than were sent."""
    if part.media_type.startswith("image/"):
        return True
    return bool(part.filename) and not part.media_type.startswith(_TEXT_TYPES)


def _shown(parts: Sequence[Part]) -> str:
    """What `parts` a form has, for an error message."""
    listed = ", ".join(f"{part} of {len(part.data)} bytes" for part in parts[:5])
    return f"it has: {listed}{', ...' if len(parts) > 5 else ''}" if listed else "it has no part with anything in it"
