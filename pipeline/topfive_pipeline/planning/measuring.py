"""Measures what each stage of a request costs by itself, in this process, with the sessions that the server opens."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive.backends.sizing import sample_shape
from topfive.images.decoding import ImageLimits, decode
from topfive.request.preparing.payloads import LIGHT_BYTES
from topfive.request.preparing.price import price_of
from topfive_pipeline.judging.sessions import opened, planned
from topfive_pipeline.judging.subjects import Subject
from topfive_pipeline.planning.costs import KindCosts
from topfive_pipeline.under_load.images import Body

_RUNS: Final = 7
"""Of each stage of each image in a round; the median counts."""
_NO_LIMITS: Final = ImageLimits(max_pixels=1 << 40, max_dimension=1 << 20, max_images=1)


@dataclass(frozen=True, slots=True)
class Batches:
    """Seconds of runs: by the size of their batch, each by itself; and of one image beside other slots' runs.

    Those beside others are by the time of the cores that they took: that they wait for a core is for the simulation.
    """

    alone: dict[int, list[float]]
    beside: list[float]


class Stages:
    """The graphs of `subject`, as a server with `cores` cores runs them; `close` gives them back.

    `machine_cores`: those of the machine, all of which compute where runs are measured beside one another.
    """

    def __init__(self, subject: Subject, *, cores: int, machine_cores: int) -> None:
        self.plan = planned(subject.classify.config, cores=cores)
        resize = subject.resize
        self._short_side = 0 if resize is None else resize.config.jpeg_short_side
        self._resizes = () if resize is None else (opened(resize, threads=1), opened(resize, threads=cores))
        self._crop = np.zeros((1, *sample_shape(subject.classify.config)), np.uint8)
        plan = self.plan
        self._sessions = [
            opened(subject.classify, threads=plan.threads, streams=plan.streams) for _ in range(plan.sessions)
        ]
        self._beside = max(plan.slots, machine_cores // plan.threads)
        self._pool = ThreadPoolExecutor(self._beside)

    def kind(self, name: str, body: Body, *, share: float) -> KindCosts:
        """What preparing an image costs that is sent as `body`."""
        decoding, price = 0.0, None
        if body.size is None:
            price = price_of(body.content, _NO_LIMITS, short_side=self._short_side)
            head, side = price.head, price.short_side

            def read() -> NDArray[np.uint8]:
                return decode(body.content, _NO_LIMITS, head=head, short_side=side)

            decoding, image = _usual(read), read()
        else:
            image = np.frombuffer(body.content, np.uint8).reshape(1, *body.size, 3)
        (self._crop,) = self._resizes[0].run(image) if self._resizes else (image,)
        resizing = [_usual(lambda graph=graph: graph.run(image)) for graph in self._resizes] or [0.0, 0.0]  # type: ignore[misc]
        return KindCosts(
            name=name,
            nbytes=len(body.content),
            decode_seconds=decoding,
            resize_seconds=resizing[0],
            resize_alone_seconds=resizing[1],
            in_slot=price is None and len(body.content) <= LIGHT_BYTES,
            price_seconds=0.0 if price is None else price.seconds,
            is_dear=price is not None and price.is_dear,
            share=share,
        )

    def batches(self, sizes: Sequence[int], *, seconds: float, progress: Callable[[str], None]) -> Batches:
        """Run batches of each of `sizes`, of the image that `kind` saw last, in turns for about so many `seconds`."""
        crops = {size: np.repeat(self._crop, size, axis=0) for size in sizes}
        found = Batches({size: [] for size in sizes}, [])

        def timed(size: int, slot: int = 0) -> float:
            graph = self._sessions[slot % len(self._sessions)]
            began = time.perf_counter()
            graph.run(crops[size])
            return time.perf_counter() - began

        for size in sizes:
            timed(size)  # the first run of a size is slower
        until = time.perf_counter() + seconds
        while not found.beside or time.perf_counter() < until:
            progress(f"the network by itself: {max(0.0, until - time.perf_counter()):.0f} s left")
            for size in sizes:
                found.alone[size].append(timed(size))
            for _ in range(2):
                began = time.process_time()
                list(self._pool.map(timed, [1] * self._beside, range(self._beside)))
                found.beside.append((time.process_time() - began) / (self._beside * self.plan.threads))
        return found

    def close(self) -> None:
        """Give the sessions back."""
        self._pool.shutdown()
        for graph in (*self._sessions, *self._resizes):
            graph.close()


def _usual(call: Callable[[], object]) -> float:
    call()  # the first is slower
    took = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    return median(took)
