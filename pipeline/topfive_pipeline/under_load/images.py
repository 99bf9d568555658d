"""The images that candidates are loaded with, as requests: crops of one size, pixels of all sizes, or files."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
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


def requests_of(photos: Sequence[Photo], kind: str, *, model: str, api_key: str = "") -> list[bytes]:
    """A request to classify each of `photos` by `model`, sent as `kind` says; whole HTTP messages.

    `api_key`: what the service asks for; "" for none.
    """
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    return [_request(photo, kind, model, headers) for photo in photos]


def _request(photo: Photo, kind: str, model: str, headers: Mapping[str, str]) -> bytes:
    if kind == JPEG:
        return _rendered(_file(photo), {"Content_Type": "image/jpeg", **headers}, model=model)
    image = photo.image()
    if said := _SIZE.fullmatch(kind):
        image = ImageOps.fit(image, (int(said[2]), int(said[1])))
    pixels = np.asarray(image)
    height, width, _ = pixels.shape
    binary = {"Content_Type": "application/octet-stream", **headers}
    return _rendered(pixels.tobytes(), binary, model=model, height=height, width=width)


def _file(photo: Photo) -> bytes:
    if photo.path.suffix.lower() in _JPEGS:
        return Path(photo.path).read_bytes()
    file = io.BytesIO()
    photo.image().save(file, "jpeg", quality=_QUALITY)
    return file.getvalue()


def _rendered(body: bytes, headers: Mapping[str, str], **query: object) -> bytes:
    return render("POST", f"/v1/classify?{urlencode(query)}", body, **headers)
