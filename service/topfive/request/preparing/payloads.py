"""Makes payloads for the batcher out of the images of one body: at once if there is little to do, else on threads.

What lives here: which images need a thread, and the time of each stage. What does not: the order of jobs, deadlines and
memory (`request.preparing.preparation`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.batching.batch import Payload, Unprepared
from topfive.batching.sharing import Sharer
from topfive.ground.clock import Clock
from topfive.ground.drift import RAW, Sent
from topfive.ground.errors import (
    DeadlineExceeded,
    MalformedRequest,
    TooLarge,
    UndecodableImage,
    UnsupportedMediaType,
)
from topfive.images.decoding import RawShape, view_raw
from topfive.images.files.limits import Buffer
from topfive.models.served import ServedModel
from topfive.request.preparing.preparation import Decode, Preparation
from topfive.request.preparing.price import Price, raw_price
from topfive.request.sources import EncodedImages, Source, check_size

_FAULTS_OF_AN_IMAGE: Final = (MalformedRequest, TooLarge, UndecodableImage, UnsupportedMediaType)
LIGHT_BYTES: Final = 3_000_000
"""A million raw pixels. They are resized in about the time of a batch, so a slot does that when it starts the batch:
this saves two changes of thread and never prepares an expired image."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Payloads for the batcher, their images as they were sent, and the seconds of waiting, decoding and resizing."""

    payloads: Sequence[Payload]
    sent: Sequence[Sent]
    wait_seconds: float = 0.0
    decode_seconds: float = 0.0
    resize_seconds: float = 0.0


class Payloads:
    """Makes payloads; long work goes to `preparation`, because it must not hold a slot."""

    def __init__(self, preparation: Preparation, clock: Clock) -> None:
        self._preparation = preparation
        self._clock = clock

    def prices(self, model: ServedModel, body: Any, source: Source) -> list[Price]:
        """The price of each job on a thread: one a file, or one for all raw pixels; empty if no thread is needed."""
        match source:
            case RawShape():
                at_once = model.per_image is None or not model.per_image.blocking
                if at_once or (model.crop_shape is not None and source.nbytes <= LIGHT_BYTES):
                    return []
                return [raw_price(source.count * source.height * source.width)]
            case EncodedImages():
                return [self._preparation.price_of(file, short_side=model.jpeg_short_side) for file in body]
            case _:
                return [self._preparation.price_of(body, short_side=model.jpeg_short_side)]

    async def prepare(
        self,
        model: ServedModel,
        body: Any,
        source: Source,
        prices: Sequence[Price],
        *,
        deadline: float,
        abandoned: Callable[[], bool],
        tenant: Sharer | None = None,
        in_background: bool = False,
    ) -> Prepared:
        """Make payloads for the batcher; `prices` are those that `prices()` gave for the same body.

        `in_background`: no client waits for them, so that they do not take all cores.
        """
        began = self._clock.now()
        alone = len(prices) == 1 and self._preparation.is_idle and model.batcher.would_run_alone and not in_background

        def start(price: Price, read: Callable[[Decode], NDArray[np.uint8]]) -> asyncio.Future[Prepared]:
            def call(decode: Decode) -> Prepared:
                return self._prepare_now(model, partial(read, decode), deadline, began, price=price, alone=alone)

            return self._preparation.run(price, call, deadline=deadline, abandoned=abandoned, tenant=tenant)

        if isinstance(source, RawShape):
            if prices:
                return await start(prices[0], lambda _: view_raw(body, source))
            if model.per_image is None or not model.per_image.blocking or model.crop_shape is None:
                return self._prepare_now(model, partial(view_raw, body, source), deadline, began)
            images = view_raw(body, source)
            payloads = [Unprepared(image, model.per_image, model.crop_shape) for image in images]
            return Prepared(payloads, [Sent(RAW, source.height * source.width)] * source.count)
        files = body if isinstance(source, EncodedImages) else [body]
        running = [start(price, partial(_decoded, file)) for file, price in zip(files, prices, strict=True)]
        if not isinstance(source, EncodedImages):
            return await running[0]
        return await self._all_prepared(running, source.names, began)

    async def _all_prepared(
        self, running: Sequence[asyncio.Future[Prepared]], names: Sequence[str], began: float
    ) -> Prepared:
        """The payloads of all `running` jobs together; an error names the first image at fault."""
        prepared: list[Prepared] = []
        try:
            for name, future in zip(names, running, strict=True):
                try:
                    prepared.append(await future)
                except _FAULTS_OF_AN_IMAGE as error:
                    raise type(error)(f"{name}: {error}", logged=error.logged) from error
        finally:
            for future in running:
                if not future.cancel() and not future.cancelled():  # a job that no thread has begun does not run
                    future.exception()  # retrieved, so that asyncio does not log it as unreported
        payloads = [payload for each in prepared for payload in each.payloads]
        sent = [image for each in prepared for image in each.sent]
        passed = self._clock.now() - began
        decoding = sum(each.decode_seconds for each in prepared)
        resizing = sum(each.resize_seconds for each in prepared)
        share = min(1.0, passed / (decoding + resizing)) if decoding + resizing else 0.0
        # Several threads work at once, so their times add up to more than has passed; they are scaled down to that.
        wait = passed - share * (decoding + resizing)
        return Prepared(payloads, sent, max(0.0, wait), share * decoding, share * resizing)

    def _prepare_now(
        self,
        model: ServedModel,
        read: Callable[[], NDArray[np.uint8]],
        deadline: float,
        queued: float,
        *,
        price: Price | None = None,
        alone: bool = False,
    ) -> Prepared:
        """Decode by `read`, and resize, if `alone` on all cores; may run on a worker thread."""
        started = self._clock.now()
        if started >= deadline:
            raise DeadlineExceeded("the deadline passed before decoding; allow more time or send less load")
        images = read()
        count, height, width, _ = images.shape
        check_size(model, height, width)
        form, pixels = (RAW, 0) if price is None else (price.form, price.pixels)
        sent = [Sent(form, pixels or height * width)] * count  # a JPEG may be decoded smaller than it was sent
        decoded = self._clock.now()
        if model.per_image is not None:
            images = model.per_image(images, alone=alone)
        return Prepared(list(images), sent, started - queued, decoded - started, self._clock.now() - decoded)


def _decoded(file: Buffer, decode: Decode) -> NDArray[np.uint8]:
    return decode(file)
