"""The images that candidates are loaded with, as requests: crops of one size, pixels of all sizes, or files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import numpy as np
from PIL import ImageOps

from topfive.ground.errors import ConfigurationError
from topfive_loadgen.http1 import render
from topfive_pipeline.proof.photos import Photo

JPEG: Final = "jpeg"
MIXED: Final = "mixed"
MOST: Final = 16
"""Photos: no two of a batch are then the same, and all requests fit the generator's memory whatever their size."""
_SIZE: Final = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,4})")
_QUALITY: Final = 90
_JPEGS: Final = (".jpg", ".jpeg")


def checked(kind: str) -> str:
    """`kind`, if it is one that images are sent as; raises `ConfigurationError` otherwise."""
    if kind not in (JPEG, MIXED) and not _SIZE.fullmatch(kind):
        raise ConfigurationError(
            f"--image {kind}: say {JPEG} for files, {MIXED} for pixels of each photo's own size, or HEIGHTxWIDTH for "
            "pixels of one size, as 224x224"
        )
    return kind


@dataclass(frozen=True, slots=True)
class Body:
    """An image as it is sent; `size`: height and width of raw pixels, RGB, None for a file."""

    content: bytes = field(repr=False)
    size: tuple[int, int] | None = None


def bodies_of(photos: Sequence[Photo], kind: str) -> list[Body]:
    """Each of `photos` as `kind` says that images are sent."""
    return [_body(photo, kind) for photo in photos]


def requests_of(photos: Sequence[Photo], kind: str, *, model: str, api_key: str = "") -> list[bytes]:
    """A request to classify each of `photos` by `model`, sent as `kind` says; whole HTTP messages.

    `api_key`: what the service asks for; "" for none.
    """
    return [request_of(body, model=model, api_key=api_key) for body in bodies_of(photos, kind)]


def request_of(body: Body, *, model: str, api_key: str = "") -> bytes:
    """The whole HTTP message that asks `model` for `body`."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    if body.size is None:
        return _rendered(body.content, {"Content_Type": "image/jpeg", **headers}, model=model)
    height, width = body.size
    binary = {"Content_Type": "application/octet-stream", **headers}
    return _rendered(body.content, binary, model=model, height=height, width=width)


def _body(photo: Photo, kind: str) -> Body:
    if kind == JPEG:
        return Body(_file(photo))
    image = photo.image()
    if said := _SIZE.fullmatch(kind):
        image = ImageOps.fit(image, (int(said[2]), int(said[1])))
    pixels = np.asarray(image)
    return Body(pixels.tobytes(), (pixels.shape[0], pixels.shape[1]))


def _file(photo: Photo) -> bytes:
    if photo.path.suffix.lower() in _JPEGS:
        return Path(photo.path).read_bytes()
    file = io.BytesIO()
    photo.image().save(file, "jpeg", quality=_QUALITY)
    return file.getvalue()


def _rendered(body: bytes, headers: Mapping[str, str], **query: object) -> bytes:
    return render("POST", f"/v1/classify?{urlencode(query)}", body, **headers)
