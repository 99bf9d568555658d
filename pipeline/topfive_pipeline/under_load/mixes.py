"""The two mixes of images that contestants are loaded with: photos of usual sizes, and the worst that is still legal.

They mean what `loadtests.corpus` means by them, without its right answers and without other protocols than
`POST /v1/classify`. What lives here: bodies, and the requests that carry them. What does not: loads
(`under_load.load`).
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import numpy as np
from PIL import Image, ImageOps

from topfive_loadgen.http1 import render_head
from topfive_loadgen.mixes import MIXES, Mix, Scenario
from topfive_loadgen.plan import Request
from topfive_pipeline.proof.photos import Photo

__all__ = ["MIXES", "Mix", "Query", "Recipient", "Request", "Scenario", "queries_of", "requests_to"]

PHOTOS: Final = 12
"""Of the random mix: with three forms of each, a load of a second or two sends all of them."""
_SIZES: Final = ((500, 375), (375, 500), (640, 480), (500, 333), (1024, 768))
"""Width and height of usual photos. Five, so that photos that come again do so in another size."""
_TWELVE_MEGAPIXELS, _PANORAMA, _TOWER, _SCREEN, _TINY = (4000, 3000), (8000, 400), (400, 8000), (1600, 1200), (9, 7)
_QUALITY: Final = 90
_ORIENTATION: Final = 0x0112
_ON_ITS_SIDE: Final = 6
_PIXELS: Final = "application/octet-stream"

Picture = Image.Image
Encode = Callable[[Picture], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One image as it is sent: its `kind` in words, the `scenario` of `loadtests` that it belongs to, or None."""

    kind: str
    scenario: Scenario | None
    media_type: str
    body: bytes = field(repr=False)
    query: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """Who is asked: `host` as in its address; `version` None is the server's choice, as is `model` ""; a key or ""."""

    host: str
    model: str = ""
    version: int | None = None
    api_key: str = field(default="", repr=False)


def queries_of(mix: Mix, photos: Sequence[Photo]) -> list[Query]:
    """The images of a mix, made of `photos`; the same photos make the same images, in the same order."""
    step = max(1, len(photos) // PHOTOS)
    pictures = [photo.image() for photo in photos[::step][:PHOTOS]]
    return list(_random(pictures) if mix == "random" else _complex(pictures))


def requests_to(recipient: Recipient, queries: Sequence[Query]) -> list[Request]:
    """Each of `queries` as a whole HTTP request, in two parts so that no body is copied."""
    return [_request(recipient, query) for query in queries]


def _request(recipient: Recipient, query: Query) -> Request:
    named = {"model": recipient.model or None, "version": recipient.version, **query.query}
    asked = urlencode({name: value for name, value in named.items() if value is not None})
    headers = {"Host": recipient.host, "Content_Type": query.media_type}
    if recipient.api_key:
        headers["Authorization"] = f"Bearer {recipient.api_key}"
    target = f"/v1/classify?{asked}" if asked else "/v1/classify"
    return render_head("POST", target, len(query.body), **headers), query.body


def _random(pictures: Sequence[Picture]) -> Iterator[Query]:
    """Each picture in a usual size, as JPEG, PNG and pixels: never twice the same form in a row."""
    for picture, size, _ in zip(itertools.cycle(pictures), itertools.cycle(_SIZES), range(PHOTOS), strict=False):
        upright = ImageOps.fit(picture, size)
        yield _file("JPEG", "jpeg", _jpeg(upright))
        yield _file("PNG", None, _png(upright))
        yield _raw("raw", upright)


def _complex(pictures: Sequence[Picture]) -> Iterator[Query]:
    """One image of each kind, dear ones between cheap ones, so that the beginning of a load is like its end."""
    kinds: list[tuple[str, tuple[int, int], Encode | None]] = [
        ("12 MP JPEG", _TWELVE_MEGAPIXELS, _jpeg),
        ("tiny JPEG", _TINY, _jpeg),
        ("panorama raw", _PANORAMA, None),
        ("palette PNG", _SCREEN, _palette),
        ("progressive JPEG", _SCREEN, _progressive),
        ("12 MP raw", _TWELVE_MEGAPIXELS, None),
        ("PNG with alpha", _SCREEN, _alpha),
        ("CMYK JPEG", _SCREEN, _cmyk),
        ("tower raw", _TOWER, None),
        ("16-bit PNG", _SCREEN, _sixteen_bit),
        ("panorama JPEG", _PANORAMA, _jpeg),
        ("tiny raw", _TINY, None),
        ("EXIF-rotated JPEG", _SCREEN, _rotated),
    ]
    for picture, (kind, size, encode) in zip(itertools.cycle(pictures), kinds, strict=False):
        fitted = ImageOps.fit(picture, size)
        yield _raw(kind, fitted) if encode is None else _file(kind, "jpeg", encode(fitted))


def _file(kind: str, scenario: Scenario | None, body: bytes) -> Query:
    media_type = "image/png" if body.startswith(b"\x89PNG") else "image/jpeg"
    return Query(kind=kind, scenario=scenario, media_type=media_type, body=body)


def _raw(kind: str, picture: Picture) -> Query:
    size = {"height": picture.height, "width": picture.width}
    return Query(kind=kind, scenario="raw", media_type=_PIXELS, body=np.asarray(picture).tobytes(), query=size)


def _jpeg(picture: Picture) -> bytes:
    return _saved(picture, "jpeg", quality=_QUALITY)


def _progressive(picture: Picture) -> bytes:
    return _saved(picture, "jpeg", quality=_QUALITY, progressive=True)


def _cmyk(picture: Picture) -> bytes:
    return _jpeg(picture.convert("CMYK"))


def _rotated(picture: Picture) -> bytes:
    """On its side, with the EXIF orientation that sets it upright, as phones write them."""
    exif = Image.Exif()
    exif[_ORIENTATION] = _ON_ITS_SIDE
    return _saved(picture.transpose(Image.Transpose.ROTATE_90), "jpeg", quality=_QUALITY, exif=exif)


def _png(picture: Picture) -> bytes:
    return _saved(picture, "png", compress_level=1)


def _palette(picture: Picture) -> bytes:
    return _png(picture.quantize(256))


def _alpha(picture: Picture) -> bytes:
    seen = Image.linear_gradient("L").resize(picture.size)
    with_alpha = picture.copy()
    with_alpha.putalpha(seen)
    return _png(with_alpha)


def _sixteen_bit(picture: Picture) -> bytes:
    return _png(Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257))


def _saved(picture: Picture, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
