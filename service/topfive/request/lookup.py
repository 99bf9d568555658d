"""Looks the images of a request up in the answer cache, each by itself, and keeps what the others are answered.

What lives here: an image's key, and where it is made. What does not: the bounds and the order of what is kept
(`request.answer_cache`), and how images are answered that are not in it (`request.classifier`).

The digest is SHA-256, so that nobody can make an image that is answered as another one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from topfive.backends.base import Row
from topfive.ground.clock import Clock
from topfive.ground.drift import Sent
from topfive.images.decoding import RawShape, view_raw
from topfive.images.files.limits import Buffer
from topfive.machine.workers import WorkerPool
from topfive.models.served import ServedModel
from topfive.request.answer_cache import AnswerCache, Answered, Key
from topfive.request.sources import Body, EncodedImages, Source, each_of

_LIGHT_BYTES: Final = 1 << 18
"""So much is hashed in 0.2 ms, or 0.6 ms where the processor has no instructions for SHA-256; more, on a thread."""


@dataclass(frozen=True, slots=True)
class Found:
    """What the cache knows of a request's images, in their order: their keys, and the answers that it has.

    `seconds`: how long it took to find them.
    """

    keys: Sequence[Key]
    answers: Sequence[Answered | None]
    seconds: float

    @property
    def hits(self) -> int:
        """How many images were answered before."""
        return len(self.answers) - self.answers.count(None)


@dataclass(frozen=True, slots=True)
class Missing:
    """A request of the images that have no answer in the cache (`request.classifier.Asked`)."""

    timeout_seconds = None

    body: Body
    source: Source
    priority: int
    copied_bytes: int

    @classmethod
    def of(cls, found: Found, body: Body, source: Source, priority: int) -> Missing:
        """Those of a request for which so much was `found`; of raw pixels, if only some are missing, a copy."""
        if not found.hits:
            return cls(body, source, priority, 0)
        images = each_of(body, source)
        missing = [at for at, answer in enumerate(found.answers) if answer is None]
        chosen = [images[at][0] for at in missing]
        if isinstance(source, EncodedImages):
            return cls(chosen, EncodedImages([source.names[at] for at in missing]), priority, 0)
        assert isinstance(source, RawShape)  # a file that comes alone has an answer, or there are no hits
        shape = replace(source, count=len(missing))
        return cls(b"".join(chosen), shape, priority, shape.nbytes)


class Lookup:
    """Looks images up in `cache`; long hashing goes to `pool`, for it holds no lock of the interpreter."""

    def __init__(self, cache: AnswerCache, *, pool: WorkerPool, clock: Clock) -> None:
        self._cache = cache
        self._pool = pool
        self._clock = clock

    async def find(self, model: ServedModel, body: Body, source: Source) -> Found | None:
        """What is known of each image; None if nothing can be, as the model has been replaced meanwhile.

        Raises `MalformedRequest` if the body is not as long as `source` says.
        """
        unit = self._cache.number_of(model.unit)
        if unit is None:
            return None
        began = self._clock.now()
        if isinstance(source, RawShape):
            view_raw(body, source)  # type: ignore[arg-type]  # by its source; for its check
        images = each_of(body, source)
        light = sum(len(image) for image, _ in images) <= _LIGHT_BYTES
        keys = _keys(unit, images) if light else await self._pool.run(_keys, unit, images)
        found = Found(keys, [self._cache.get(key) for key in keys], self._clock.now() - began)
        self._cache.metrics.looked_up(model.name, hits=found.hits, misses=len(keys) - found.hits)
        return found

    def keep(self, found: Found, rows: Sequence[Row], sent: Sequence[Sent]) -> None:
        """Keep the answers to the images that had none, in their order."""
        missing = (key for key, answer in zip(found.keys, found.answers, strict=True) if answer is None)
        for key, row, image in zip(missing, rows, sent, strict=True):
            self._cache.put(key, row, image)


def _keys(unit: int, images: Sequence[tuple[Buffer, Source]]) -> list[Key]:
    return [_key(unit, image, source) for image, source in images]


def _key(unit: int, image: Buffer, source: Source) -> Key:
    height, width = (source.height, source.width) if isinstance(source, RawShape) else (0, 0)
    return Key(unit, height, width, hashlib.sha256(image).digest())
