"""The life of a request after its bytes are here: decode, per-image graph, queue and batch, labels.

What lives here: the order of those steps and the deadline over all of them. What does not: HTTP (`routes`), and how
any step is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from topfive.backends.base import Row
from topfive.batching.batch import Payload, Unprepared
from topfive.ground.clock import Clock
from topfive.ground.errors import (
    ClientDisconnected,
    DeadlineExceeded,
    MalformedRequest,
    TooLarge,
    UndecodableImage,
    UnsupportedMediaType,
)
from topfive.ground.types import Timings
from topfive.images.decoding import RawShape, view_raw
from topfive.images.files.limits import Buffer
from topfive.machine.workers import WorkerPool
from topfive.models.served import ServedModel
from topfive.request.entry import Entry
from topfive.request.preparing.preparation import Decode, Preparation
from topfive.request.preparing.price import Price, raw_price

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

    `preparation`: what decodes, and resizes large images, beside the threads that run batches: what takes long must not
    hold a slot. `pool`: threads for what else takes long.
    """

    def __init__(self, *, preparation: Preparation, pool: WorkerPool, clock: Clock) -> None:
        self._preparation = preparation
        self._pool = pool
        self._clock = clock

    def aside(self, call: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """Run what takes long for a client's sake, but is no image, on another thread."""
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
        entry: Entry | None = None,
        deadline: float,
        abandoned: Callable[[], bool],
        priority: int = 0,
    ) -> Classification:
        """The outputs for every image in `body`, in its order; raises any of `topfive.ground.errors`.

        `entry`: the request's way in, which begins here: what it takes to prepare its images is known now.
        """
        prices = self._prices(model, body, source)
        wait = self._preparation.check(prices, deadline=deadline) if prices else 0.0
        if entry is not None:
            is_dear = any(price.is_dear for price in prices)
            entry.begin(count_of(source), deadline=deadline - wait, priority=priority, is_near=not is_dear)
        if prices and abandoned():
            raise ClientDisconnected("the client hung up after its body")
        prepared = await self._prepare(model, body, source, prices, deadline=deadline, abandoned=abandoned)
        outcomes = await model.batcher.submit(
            prepared.payloads,
            reservation=None if entry is None else entry.reservation,
            deadline=deadline,
            abandoned=abandoned,
            priority=priority,
        )
        timings = Timings(
            decode_seconds=prepared.decode_seconds,
            resize_seconds=prepared.resize_seconds + max(outcome.resize_seconds for outcome in outcomes),
            queue_seconds=prepared.wait_seconds + max(outcome.queue_seconds for outcome in outcomes),
            inference_seconds=max(outcome.inference_seconds for outcome in outcomes),
        )
        model.metrics.answered(len(outcomes), timings)
        return Classification(model, [outcome.row for outcome in outcomes], timings)

    def _prices(self, model: ServedModel, body: Any, source: Source) -> list[Price]:
        """Of what is to be prepared on a thread: of each file, or of the raw pixels together; none if nothing is."""
        match source:
            case RawShape():
                at_once = model.per_image is None or not model.per_image.blocking
                if at_once or (model.crop_shape is not None and source.nbytes <= _LIGHT_BYTES):
                    return []
                return [raw_price(source.count * source.height * source.width)]
            case EncodedImages():
                return [self._preparation.price_of(file) for file in body]
            case _:
                return [self._preparation.price_of(body)]

    async def _prepare(
        self,
        model: ServedModel,
        body: Any,
        source: Source,
        prices: Sequence[Price],
        *,
        deadline: float,
        abandoned: Callable[[], bool],
    ) -> _Prepared:
        """Payloads for the batcher: at once where there is next to nothing to do, else on worker threads."""
        began = self._clock.now()

        def start(price: Price, read: Callable[[Decode], NDArray[np.uint8]]) -> asyncio.Future[_Prepared]:
            def call(decode: Decode) -> _Prepared:
                return self._prepare_now(model, partial(read, decode), deadline, began)

            return self._preparation.run(price, call, deadline=deadline, abandoned=abandoned)

        if isinstance(source, RawShape):
            if prices:
                return await start(prices[0], lambda _: view_raw(body, source))
            if model.per_image is None or not model.per_image.blocking or model.crop_shape is None:
                return self._prepare_now(model, partial(view_raw, body, source), deadline, began)
            images = view_raw(body, source)
            return _Prepared([Unprepared(image, model.per_image, model.crop_shape) for image in images])
        files = body if isinstance(source, EncodedImages) else [body]
        running = [start(price, partial(_decoded, file)) for file, price in zip(files, prices, strict=True)]
        if not isinstance(source, EncodedImages):
            return await running[0]
        return await self._all_prepared(running, source.names, began)

    async def _all_prepared(
        self, running: Sequence[asyncio.Future[_Prepared]], names: Sequence[str], began: float
    ) -> _Prepared:
        """All of them together; the first that is no image is named in the error."""
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

    def _prepare_now(
        self, model: ServedModel, read: Callable[[], NDArray[np.uint8]], deadline: float, queued: float
    ) -> _Prepared:
        """Decode, as `read` does, and resize; may run on a worker thread."""
        started = self._clock.now()
        if started >= deadline:
            raise DeadlineExceeded("the deadline passed before decoding; allow more time or send less load")
        images = read()
        check_size(model, *images.shape[1:3])
        decoded = self._clock.now()
        if model.per_image is not None:
            images = model.per_image(images)
        return _Prepared(list(images), started - queued, decoded - started, self._clock.now() - decoded)


def _decoded(file: Buffer, decode: Decode) -> NDArray[np.uint8]:
    return decode(file)


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
