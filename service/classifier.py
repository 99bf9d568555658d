"""The life of a request after its bytes are here: decode, per-image graph, queue and batch, labels.

What lives here: the order of those steps and the deadline over all of them. What does not: HTTP (`routes`), and how
any step is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.backends.base import Row
from service.clock import Clock
from service.errors import ClientDisconnected, DeadlineExceeded, MalformedRequest
from service.images import ImageLimits, RawShape, decode, view_raw
from service.models import ServedModel
from service.types import Classification, Prediction, Timings
from service.workers import WorkerPool

_NEVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A body that holds one encoded image of `media_type`."""

    media_type: str


Source = RawShape | EncodedImage
"""How the body is to be read."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    images: NDArray[np.uint8]
    decode_seconds: float
    resize_seconds: float


class Classifier:
    """Classifies bodies with served models. `pool` runs decoding and per-image graphs."""

    def __init__(self, *, pool: WorkerPool, limits: ImageLimits, clock: Clock) -> None:
        self._pool = pool
        self._limits = limits
        self._clock = clock

    def deadline(self, model: ServedModel, timeout_seconds: float | None) -> float:
        """Monotonic second by which a request that begins now must be dispatched; raises `MalformedRequest`.

        The model's queue policy applies to every request. A client may shorten it where the policy sets none, or
        allows it.
        """
        allowed = model.queue_timeout_seconds or _NEVER
        if timeout_seconds is not None:
            if model.queue_timeout_seconds and not model.allow_timeout_override:
                raise MalformedRequest(
                    f"model '{model.name}' does not let requests set their own timeout; leave it out, or set "
                    "allow_timeout_override in the default_queue_policy of its config.pbtxt"
                )
            allowed = min(allowed, timeout_seconds)
        return self._clock.now() + allowed

    async def classify(
        self,
        model: ServedModel,
        body: bytes | bytearray | memoryview,
        source: Source,
        *,
        deadline: float,
        abandoned: Callable[[], bool],
    ) -> Classification:
        """The labels of every image in `body`, in its order; raises any of `service.errors`."""
        if isinstance(source, RawShape) and (model.per_image is None or not model.per_image.blocking):
            prepared = self._prepare(model, body, source, deadline)
        else:
            self._check_in_time(deadline, abandoned)
            prepared = await self._pool.run(self._prepare, model, body, source, deadline)
        _check_shape(model, prepared.images)
        outcomes = await model.batcher.submit(list(prepared.images), deadline=deadline, abandoned=abandoned)
        timings = Timings(
            decode_seconds=prepared.decode_seconds,
            resize_seconds=prepared.resize_seconds,
            queue_seconds=max(outcome.queue_seconds for outcome in outcomes),
            inference_seconds=max(outcome.inference_seconds for outcome in outcomes),
        )
        model.metrics.answered(len(outcomes), timings)
        return Classification(model.name, str(model.version), [_predictions(o.row) for o in outcomes], timings)

    def _check_in_time(self, deadline: float, abandoned: Callable[[], bool]) -> None:
        if self._clock.now() >= deadline:
            raise DeadlineExceeded("the deadline passed while the body arrived; allow more time")
        if abandoned():
            raise ClientDisconnected("the client hung up after its body")

    def _prepare(self, model: ServedModel, body: Any, source: Source, deadline: float) -> _Prepared:
        """Decode and resize; runs on a worker thread, unless there is next to nothing to do."""
        started = self._clock.now()
        if started >= deadline:
            raise DeadlineExceeded("the deadline passed before decoding; allow more time or send less load")
        if isinstance(source, RawShape):
            images = view_raw(body, source)
        else:
            images = decode(body, source.media_type, self._limits)
        decoded = self._clock.now()
        if model.per_image is not None:
            images = model.per_image(images)
        return _Prepared(images, decoded - started, self._clock.now() - decoded)


def _check_shape(model: ServedModel, images: NDArray[np.uint8]) -> None:
    if model.per_image is not None:
        return
    wanted = model.image.shape[1:]
    if any(size not in (-1, got) for size, got in zip(wanted, images.shape[1:], strict=True)):
        raise MalformedRequest(
            f"model '{model.name}' takes images of {wanted[0]}x{wanted[1]} (height x width, -1 for any) and got "
            f"{images.shape[1]}x{images.shape[2]}; resize it, or call a model that does"
        )


def _predictions(row: Row) -> list[Prediction]:
    labels, indices, probabilities = row["classes"], row["indices"], row["probabilities"]
    return list(map(Prediction, labels.tolist(), indices.tolist(), probabilities.tolist()))
