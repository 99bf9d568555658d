"""What a request's body holds: one image as it is, raw pixels, or a form or JSON with one image or several.

What lives here: which parts of a form are images, and what a body is that says nothing, or something wrong, of itself.
What does not: how forms and JSON are written (`routes.multipart`, `routes.json_images`).
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
"""Fields of a form beside as many images as may come."""
_TEXT_TYPES: Final = ("text/", "application/json", "application/xml", "application/x-www-form-urlencoded")
_USUAL_NAMES: Final = ("image", "file", "data", "photo", "upload")


@dataclass(frozen=True, slots=True)
class Upload:
    """The images of a request. `listed`: whether they are answered as a list; `instances`: and for TF's clients too."""

    timeout_seconds = None
    priority = 0

    body: Body
    source: Source
    listed: bool
    instances: bool = False
    copied_bytes: int = 0
    """What was made of the body's base64, and is held beside it."""


def holds_json(body: bytes | memoryview, media_type: str) -> bool:
    """Whether `body`, which is not of announced raw pixels, is JSON: no image begins with a brace."""
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
    """The pixels that `?height=&width=` are of: the one file, or the one part that can be meant."""
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
    """What a form has, for a message."""
    listed = ", ".join(f"{part} of {len(part.data)} bytes" for part in parts[:5])
    return f"it has: {listed}{', ...' if len(parts) > 5 else ''}" if listed else "it has no part with anything in it"
