"""What is sent: real photos, the three scenarios made of them, and what a right answer looks like.

The client needs the images as requests, the bare loop as arrays. Both build them here from the same photos and
seed, so that image number i is the same on either side. Nothing here measures; nothing here knows the graphs.
"""

import io
import random
import re
from collections.abc import Collection
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlencode

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from loadgen.http1 import Response, render

RAW224, MIXED, JPEG = "raw224", "mixed", "jpeg"
SCENARIOS = (RAW224, MIXED, JPEG)

Pixels: TypeAlias = npt.NDArray[np.uint8]
Payload: TypeAlias = Pixels | bytes  # raw pixels [H,W,3], or a JPEG file
Workload: TypeAlias = list[Payload]

# Classes within this of the most probable are right, too: batches of other sizes sum in another order, and the graphs
# are held to 2e-3 for each probability.
TIE = 4e-3
SEED = 5
COUNT = 64
INDEX = re.compile(rb'"index": ?(\d+)')

# Where there is no folder of photos: sizes as in a sample of ImageNet, cut from photographs that come with packages.
SIZES = [(500, 375)] * 5 + [(375, 500), (500, 333)] * 2 + [(333, 500), (640, 480), (400, 300), (500, 500)]
PACKAGED = {
    "skimage": ("data/astronaut.png", "data/chelsea.png", "data/coffee.png", "data/rocket.jpg"),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}


@cache
def load(folder: Path | None) -> dict[str, Workload]:
    """The images of every scenario, in the order in which they are sent."""
    files = _sample(folder) if folder else _packaged()
    photos = [decode(file) for file in files]
    crops = [np.asarray(ImageOps.fit(Image.fromarray(photo), (224, 224))) for photo in photos]
    return {RAW224: [*crops], MIXED: [*photos], JPEG: [*files]}


def decode(file: bytes) -> Pixels:
    """The upright RGB pixels of an encoded image: the least that a server has to do with it."""
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def request(payload: Payload, **query: object) -> bytes:
    """The whole HTTP request for one image, or, from pixels [N,H,W,3], for several."""
    if isinstance(payload, bytes):
        media_type, body = "image/jpeg", payload
    else:
        *count, height, width, _ = payload.shape
        query = {"height": height, "width": width, **({"count": count[0]} if count else {}), **query}
        media_type, body = "application/octet-stream", payload.tobytes()
    target = "/v1/classify" + ("?" + urlencode(query) if query else "")
    return render("POST", target, body, Content_Type=media_type)


def is_right(response: Response, allowed: Collection[int]) -> bool:
    """Whether there are five predictions, the first of them of an allowed class."""
    if response.body.startswith(b'{"model_name"'):  # its last binary tensor is five INT64 indices
        return response.status == 200 and int.from_bytes(response.body[-40:-32], "little") in allowed
    indices = INDEX.findall(response.body)
    return response.status == 200 and len(indices) == 5 and int(indices[0]) in allowed


def _sample(folder: Path) -> list[bytes]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in {".jpg", ".jpeg"})
    if not files:
        raise SystemExit(f"{folder}: no .jpg files in this folder; name another with --images")
    return [path.read_bytes() for path in random.Random(SEED).sample(files, min(COUNT, len(files)))]


def _packaged() -> list[bytes]:
    chance = random.Random(SEED)
    paths = [_package(package) / name for package, names in PACKAGED.items() for name in names]
    files = [io.BytesIO() for _ in range(COUNT)]
    for number, file in enumerate(files):
        photo = Image.open(paths[number % len(paths)]).convert("RGB")
        where = (chance.random(), chance.random())
        ImageOps.fit(photo, chance.choice(SIZES), centering=where).save(file, "jpeg", quality=90)
    return [file.getvalue() for file in files]


def _package(name: str) -> Path:
    found = find_spec(name)
    if found is None or found.origin is None:
        raise SystemExit(f"no photos: name a folder of JPEG files with --images, or install {name}")
    return Path(found.origin).parent
