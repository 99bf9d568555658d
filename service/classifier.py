"""The life of a request after its bytes are here: decode, per-image graph, queue and batch, labels.

What lives here: the order of those steps and the deadline over all of them. What does not: HTTP (`routes`), and how
any step is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from service.backends.base import Row
from service.batch import Payload, Reservation, Unprepared
from service.clock import Clock
from service.errors import (
    ClientDisconnected,
    DeadlineExceeded,
    MalformedRequest,
    TooLarge,
    UndecodableImage,
    UnsupportedMediaType,
)
from service.images import USUAL_RULES, DecodingRules, ImageLimits, RawShape, decode, view_raw
from service.models import ServedModel
from service.types import Timings
from service.workers import WorkerPool

T = TypeVar("T")

_FAULTS_OF_AN_IMAGE: Final = (MalformedRequest, TooLarge, UndecodableImage, UnsupportedMediaType)
_NEVER: Final = float("inf")
_LIGHT_BYTES: Final = 3_000_000
"""A million raw pixels, which are resized in about the time of a batch: a slot does that itself when it starts the
batch, which saves two changes of thread and never prepares what has expired."""


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """A body that holds one image file, whose own bytes say of which format."""


@dataclass(frozen=True, slots=True)
class EncodedImages:
    """As many image files as there are `names`, which refusals call them by; their body is a sequence of files."""

    names: Sequence[str]


Source = RawShape | EncodedImage | EncodedImages
"""How the body is to be read."""
Buffer = bytes | bytearray | memoryview
Body = Buffer | Sequence[Buffer]


def count_of(source: Source) -> int:
    """How many images a body of `source` holds."""
    match source:
        case RawShape():
            return source.count
        case EncodedImages():
            return len(source.names)
        case _:
            return 1


@dataclass(frozen=True, slots=True)
class Classification:
    """The answer to one request: the outputs of each of its images, in its order, and who gave it."""

    model: ServedModel
    rows: Sequence[Row]
    timings: Timings


@dataclass(frozen=True, slots=True)
class _Prepared:
    payloads: Sequence[Payload]
    wait_seconds: float = 0.0
    decode_seconds: float = 0.0
    resize_seconds: float = 0.0


class Classifier:
    """Classifies bodies with served models.

    `pool`: threads for decoding and for large images, beside those that run batches: what takes long must not hold a
    slot.
    """

    def __init__(
        self, *, pool: WorkerPool, limits: ImageLimits, rules: DecodingRules = USUAL_RULES, clock: Clock
    ) -> None:
        self._pool = pool
        self._limits = limits
        self._rules = rules
        self._clock = clock

    def aside(self, call: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Run what takes long for a client's sake, but is no image, on one of its threads."""
        return self._pool.run(call, *arguments)

    def deadline(self, model: ServedModel, timeout_seconds: float | None, *, since: float | None = None) -> float:
        """Monotonic second by which a request must be dispatched; raises `MalformedRequest`.

        It began at `since`, or begins now.

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
        return (self._clock.now() if since is None else since) + allowed

    async def classify(
        self,
        model: ServedModel,
        body: Body,
        source: Source,
        *,
        reservation: Reservation | None = None,
        deadline: float,
        abandoned: Callable[[], bool],
        priority: int = 0,
    ) -> Classification:
        """The outputs for every image in `body`, in its order; raises any of `service.errors`.

        `reservation`: places in the queue held for them.
        """
        prepared = await self._prepare(model, body, source, deadline=deadline, abandoned=abandoned)
        outcomes = await model.batcher.submit(
            prepared.payloads, reservation=reservation, deadline=deadline, abandoned=abandoned, priority=priority
        )
        timings = Timings(
            decode_seconds=prepared.decode_seconds,
            resize_seconds=prepared.resize_seconds + max(outcome.resize_seconds for outcome in outcomes),
            queue_seconds=prepared.wait_seconds + max(outcome.queue_seconds for outcome in outcomes),
            inference_seconds=max(outcome.inference_seconds for outcome in outcomes),
        )
        model.metrics.answered(len(outcomes), timings)
        return Classification(model, [outcome.row for outcome in outcomes], timings)

    async def _prepare(
        self, model: ServedModel, body: Any, source: Source, *, deadline: float, abandoned: Callable[[], bool]
    ) -> _Prepared:
        """Payloads for the batcher: at once where there is next to nothing to do, else on a worker thread."""
        if isinstance(source, RawShape):
            if model.per_image is None or not model.per_image.blocking:
                return self._prepare_now(model, body, source, deadline, self._clock.now())
            if model.crop_shape is not None and source.nbytes <= _LIGHT_BYTES:
                images = view_raw(body, source)
                return _Prepared([Unprepared(image, model.per_image, model.crop_shape) for image in images])
        if abandoned():
            raise ClientDisconnected("the client hung up after its body")
        if isinstance(source, EncodedImages):
            return await self._prepare_files(model, body, source.names, deadline)
        return await self._pool.run(self._prepare_now, model, body, source, deadline, self._clock.now())

    async def _prepare_files(
        self, model: ServedModel, files: Sequence[Buffer], names: Sequence[str], deadline: float
    ) -> _Prepared:
        """All of them, on as many threads as are free; the first of them that is no image is named in the error."""
        began = self._clock.now()
        running = [self._pool.run(self._prepare_now, model, file, EncodedImage(), deadline, began) for file in files]
        prepared: list[_Prepared] = []
        try:
            for name, future in zip(names, running, strict=True):
                try:
                    prepared.append(await future)
                except _FAULTS_OF_AN_IMAGE as error:
                    raise type(error)(f"{name}: {error}", logged=error.logged) from error
        finally:
            for future in running:
                if not future.cancel() and not future.cancelled():  # those that no thread has begun are not run
                    future.exception()  # is looked at: asyncio would log it as one that nobody was told of
        payloads = [payload for each in prepared for payload in each.payloads]
        passed = self._clock.now() - began
        decoding = sum(each.decode_seconds for each in prepared)
        resizing = sum(each.resize_seconds for each in prepared)
        share = min(1.0, passed / (decoding + resizing)) if decoding + resizing else 0.0
        # Several threads at once spend more than passes: the stages share what has passed, as their work was.
        wait = passed - share * (decoding + resizing)
        return _Prepared(payloads, max(0.0, wait), share * decoding, share * resizing)

    def _prepare_now(self, model: ServedModel, body: Any, source: Source, deadline: float, queued: float) -> _Prepared:
        """Decode and resize; may run on a worker thread."""
        started = self._clock.now()
        if started >= deadline:
            raise DeadlineExceeded("the deadline passed before decoding; allow more time or send less load")
        images = view_raw(body, source) if isinstance(source, RawShape) else decode(body, self._limits, self._rules)
        check_size(model, *images.shape[1:3])
        decoded = self._clock.now()
        if model.per_image is not None:
            images = model.per_image(images)
        return _Prepared(list(images), started - queued, decoded - started, self._clock.now() - decoded)


def check_size(model: ServedModel, height: int, width: int) -> None:
    """Raise `MalformedRequest` if `model` has no per-image graph and takes images of another size only."""
    if model.per_image is not None:
        return
    _, wanted_height, wanted_width, _ = model.image.shape
    if wanted_height not in (-1, height) or wanted_width not in (-1, width):
        raise MalformedRequest(
            f"model '{model.name}' takes images of {wanted_height}x{wanted_width} (height x width, -1 for any) and got "
            f"{height}x{width}; resize it, or call a model that does"
        )
