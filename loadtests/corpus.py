"""The two mixes of images to send: ordinary photos, and the worst legal images, each with its right label.

`encoding` makes a request of an image, `oracle` knows the right label, and `query_files` stores the queries.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageOps

from loadtests import encoding
from loadtests.oracle import Oracle, Pixels
from loadtests.queries import Query, Scenario
from loadtests.results import Mix
from topfive_loadgen.photos import QUALITY, NoPhotos, jpegs

# Results vary slightly with the batch size and the backend. A photo whose second label is nearer than this to the first
# could be answered with either, so it is not sent.
MARGIN: Final = 0.02
_HERE: Final = Path(__file__).resolve().parent
_COFFEE: Final = (_HERE.parent / "docs" / "coffee.jpg", _HERE / "coffee.jpg")
PHOTOS: Final = 48
"""How many photos of a folder are used; this bounds the memory and the oracle's time."""

# Width and height of the largest and of the longest image.
TWELVE_MEGAPIXELS: Final = (4000, 3000)
PANORAMA, TOWER = (8000, 400), (400, 8000)
_SCREEN: Final = (1600, 1200)
_TINY: Final = (9, 7)


@dataclass(frozen=True, slots=True)
class Photo:
    """A JPEG file, and its upright RGB pixels."""

    file: bytes
    pixels: Pixels


def photos(folder: Path | None, *, seed: int, size: tuple[int, int] | None = None) -> list[Photo]:
    """Photos of a folder, or, without one, pieces of the photos of installed packages and of this repository.

    `size`: width and height, for a model that takes no other.
    """
    files = jpegs(folder, count=PHOTOS, seed=seed, besides=_COFFEE)
    if size:
        files = [_jpeg(size)(Image.open(io.BytesIO(file)).convert("RGB")) for file in files]
    return [Photo(file, encoding.decode(file)) for file in files]


def build(
    taken: Sequence[Photo], oracle: Oracle, *, mixes: Iterable[Mix], scenarios: Sequence[Scenario]
) -> Iterator[Query]:
    """The queries of these mixes in these scenarios; raises `NoPhotos` if no photo has a clear enough label."""
    makers = {"random": _random, "complex": _complex}
    for mix in mixes:
        yield from makers[mix](taken, oracle, scenarios)


def _random(taken: Sequence[Photo], oracle: Oracle, scenarios: Sequence[Scenario]) -> Iterator[Query]:
    clear = 0
    for photo in taken:
        top = oracle.top(photo.pixels)
        if top.margin < MARGIN:
            continue
        clear += 1
        for scenario in scenarios:
            file = photo.file if scenario == "jpeg" else None
            yield encoding.query(
                "random", scenario, "photo", pixels=photo.pixels, file=file, expected=top.label, oracle=oracle
            )
    if not clear:
        raise NoPhotos(f"of {len(taken)} photos the model is sure of none: its first two labels are within {MARGIN}")


def _complex(taken: Sequence[Photo], oracle: Oracle, scenarios: Sequence[Scenario]) -> Iterator[Query]:
    if "jpeg" in scenarios:
        for kind, encode in _files(oracle.size).items():
            file, pixels, label = _clearest(kind, taken, oracle, encode)
            yield encoding.query("complex", "jpeg", kind, pixels=pixels, file=file, expected=label, oracle=oracle)
    others = [scenario for scenario in scenarios if scenario != "jpeg"]
    for kind, size in _pixels(oracle.size).items() if others else ():
        _, pixels, label = _clearest(kind, taken, oracle, _png(size))
        for scenario in others:
            if scenario == "grpc" and pixels.nbytes > encoding.GRPC_BYTES:
                continue  # too large for gRPC, whose servers bound the size of messages
            yield encoding.query("complex", scenario, kind, pixels=pixels, file=None, expected=label, oracle=oracle)


def _clearest(
    kind: str, taken: Sequence[Photo], oracle: Oracle, encode: Callable[[Image.Image], bytes]
) -> tuple[bytes, Pixels, str]:
    """The first photo that has a clear label after conversion to this kind: its file, decoded pixels, and label."""
    for photo in taken:
        file = encode(Image.fromarray(photo.pixels))
        pixels = encoding.decode(file)
        top = oracle.top(pixels)
        if top.margin >= MARGIN:
            return file, pixels, top.label
    raise NoPhotos(f"the model is not sure of any of {len(taken)} photos as {kind!r}; give others with --photos")


def _jpeg(size: tuple[int, int], mode: str = "RGB", **options: object) -> Callable[[Image.Image], bytes]:
    def encode(photo: Image.Image) -> bytes:
        return _saved(ImageOps.fit(photo, size).convert(mode), "jpeg", quality=QUALITY, **options)

    return encode


def _rotated(size: tuple[int, int]) -> Callable[[Image.Image], bytes]:
    """A JPEG on its side with the EXIF orientation that sets it upright, as phones write them."""
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn it by 90 degrees clockwise to show it

    def encode(photo: Image.Image) -> bytes:
        lying = ImageOps.fit(photo, size).transpose(Image.Transpose.ROTATE_90)
        return _saved(lying, "jpeg", quality=QUALITY, exif=exif)

    return encode


def _sixteen_bit(size: tuple[int, int]) -> Callable[[Image.Image], bytes]:
    def encode(photo: Image.Image) -> bytes:
        grey = np.asarray(ImageOps.fit(photo, size).convert("L")).astype(np.uint16)
        return _saved(Image.fromarray(grey * 257), "png")

    return encode


def _palette(size: tuple[int, int]) -> Callable[[Image.Image], bytes]:
    return lambda photo: _saved(ImageOps.fit(photo, size).quantize(256), "png")


def _png(size: tuple[int, int]) -> Callable[[Image.Image], bytes]:
    """A PNG for raw pixels: lossless, and written with the fastest settings."""
    return lambda photo: _saved(ImageOps.fit(photo, size), "png", compress_level=0)


def _files(fixed: tuple[int, int] | None) -> dict[str, Callable[[Image.Image], bytes]]:
    """For each kind of file, how to make it. A model of one fixed size gets only kinds that are not about size."""
    size = fixed or _SCREEN
    odd = {
        "progressive JPEG": _jpeg(size, progressive=True),
        "CMYK JPEG": _jpeg(size, "CMYK"),
        "EXIF-rotated JPEG": _rotated(size),
        "16-bit PNG": _sixteen_bit(size),
        "palette PNG": _palette(size),
    }
    if fixed:
        return odd
    return {
        "12 MP JPEG": _jpeg(TWELVE_MEGAPIXELS),
        "panorama JPEG": _jpeg(PANORAMA),
        **odd,
        "tiny JPEG": _jpeg(_TINY),
    }


def _pixels(fixed: tuple[int, int] | None) -> dict[str, tuple[int, int]]:
    """For each kind of raw pixels, its width and height."""
    if fixed:
        return {"raw": fixed}
    return {"12 MP raw": TWELVE_MEGAPIXELS, "panorama raw": PANORAMA, "tower raw": TOWER, "tiny raw": _TINY}


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
