"""The images to send: real photos, the three scenarios made of them, and the check of an answer.

The client needs the images as requests, the bare loop as arrays. Both build them here from the same photos and seed, so
image number i is the same on both sides.
"""

import io
import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from topfive_loadgen.http1 import Response, render
from topfive_loadgen.photos import jpegs

RAW224, MIXED, JPEG = "raw224", "mixed", "jpeg"
SCENARIOS = (RAW224, MIXED, JPEG)

Pixels: TypeAlias = npt.NDArray[np.uint8]
Payload: TypeAlias = Pixels | bytes  # raw pixels [H,W,3], or a JPEG file
Workload: TypeAlias = list[Payload]

# Classes whose probability is this close to the highest are right too: results vary slightly with the batch size, and
# the graphs' probabilities are only guaranteed to 2e-3.
TIE = 4e-3
SEED = 5
COUNT = 64
INDEX = re.compile(rb'"index": ?(\d+)')


@cache
def load(folder: Path | None) -> dict[str, Workload]:
    """The images of every scenario, in the order of sending."""
    files = jpegs(folder, count=COUNT, seed=SEED)
    photos = [decode(file) for file in files]
    crops = [np.asarray(ImageOps.fit(Image.fromarray(photo), (224, 224))) for photo in photos]
    return {RAW224: [*crops], MIXED: [*photos], JPEG: [*files]}


def decode(file: bytes) -> Pixels:
    """The upright RGB pixels of an encoded image; every server must do at least this."""
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def request(payload: Payload, **query: object) -> bytes:
    """The HTTP request for one image, or for several given as pixels [N,H,W,3]."""
    if isinstance(payload, bytes):
        media_type, body = "image/jpeg", payload
    else:
        *count, height, width, _ = payload.shape
        query = {"height": height, "width": width, **({"count": count[0]} if count else {}), **query}
        media_type, body = "application/octet-stream", payload.tobytes()
    target = "/v1/classify" + ("?" + urlencode(query) if query else "")
    return render("POST", target, body, Content_Type=media_type)


def is_right(response: Response, allowed: Collection[int]) -> bool:
    """Whether the answer has five predictions, the first of an allowed class."""
    if response.body.startswith(b'{"model_name"'):  # the last binary tensor is five INT64 indices
        return response.status == 200 and int.from_bytes(response.body[-40:-32], "little") in allowed
    indices = INDEX.findall(response.body)
    return response.status == 200 and len(indices) == 5 and int(indices[0]) in allowed
