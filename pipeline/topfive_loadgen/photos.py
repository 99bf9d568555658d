"""The photos to send: JPEG files of a folder, or pieces of photographs that come with installed packages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Final

from PIL import Image, ImageOps

QUALITY: Final = 90
# Sizes as in a sample of ImageNet; the pieces are cut from the few large photos in packages.
_SIZES: Final = (*[(500, 375)] * 5, *[(375, 500), (500, 333)] * 2, (333, 500), (640, 480), (400, 300), (500, 500))
_PACKAGED: Final = {
    "skimage": ("data/astronaut.png", "data/chelsea.png", "data/coffee.png", "data/rocket.jpg"),
    "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
}


class NoPhotos(Exception):
    """There are no photos to send."""


def jpegs(folder: Path | None, *, count: int, seed: int, besides: Sequence[Path] = ()) -> list[bytes]:
    """At most `count` files of the folder; without a folder, `count` pieces of the photos of packages and `besides`.

    The same seed gives the same photos. Raises `NoPhotos`.
    """
    if folder is None:
        return _pieces([*(path for path in besides if path.is_file()), *_packaged()], count=count, seed=seed)
    files = sorted(path for path in folder.glob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    if not files:
        raise NoPhotos(f"{folder} has no .jpg file; name a folder of photos")
    return [path.read_bytes() for path in Random(seed).sample(files, min(count, len(files)))]


def jpeg(image: Image.Image, *, size: tuple[int, int], centering: tuple[float, float] = (0.5, 0.5)) -> bytes:
    """The image as a JPEG file of that width and height; cropped if its shape differs."""
    file = io.BytesIO()
    ImageOps.fit(image, size, centering=centering).save(file, "jpeg", quality=QUALITY)
    return file.getvalue()


def _pieces(paths: Sequence[Path], *, count: int, seed: int) -> list[bytes]:
    if not paths:
        raise NoPhotos("there are no photos here; name a folder of JPEG files")
    chance = Random(seed)
    photos = [Image.open(path).convert("RGB") for path in paths]
    found = []
    for number in range(count):
        where = (chance.random(), chance.random())
        found.append(jpeg(photos[number % len(photos)], size=chance.choice(_SIZES), centering=where))
    return found


def _packaged() -> list[Path]:
    specs = {package: find_spec(package) for package in _PACKAGED}
    return [
        Path(spec.origin).parent / name
        for package, spec in specs.items()
        if spec is not None and spec.origin is not None
        for name in _PACKAGED[package]
    ]
