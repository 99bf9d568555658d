"""The backend in the simulation: batches that run for as long as they were measured to take."""

from __future__ import annotations

import asyncio
import random
from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Final, cast

import numpy as np

from topfive.backends.base import Batch, Row
from topfive_pipeline.planning.cores import Cores
from topfive_pipeline.planning.costs import Costs, KindCosts
from topfive_pipeline.planning.virtual_time import VirtualLoop

_ROW: Final[Row] = {"classes": np.zeros(0)}
_SHAPE: Final = (224, 224, 3)


class Image:
    """What the batcher gets of an image: its bytes, and what the slot has still to do for it, in seconds."""

    __slots__ = ("nbytes", "resize_alone_seconds", "resize_seconds", "shape")

    def __init__(self, kind: KindCosts) -> None:
        self.shape = _SHAPE  # of all, so that all can be in one batch
        self.nbytes = kind.nbytes if kind.in_slot else 150_528
        self.resize_seconds = kind.resize_seconds if kind.in_slot else 0.0
        self.resize_alone_seconds = kind.resize_alone_seconds if kind.in_slot else 0.0


class Slots:
    """Slots of a model with `costs` on `cores`; what they are to the batcher: `topfive.backends.base.Backend`."""

    prepares = True
    cancels = False
    engine = "simulated"

    def __init__(self, costs: Costs, loop: VirtualLoop, *, cores: Cores, chance: random.Random) -> None:
        self.slots = self.prefetch = costs.slots
        self.batch_size_that_pays = costs.batch_size_that_pays
        self.serves_alone = bool(costs.alone)
        self._costs = costs
        self._cores = cores
        self._chance = chance
        self._loop = loop
        self._free = self.slots
        self._ahead: deque[tuple[Batch, asyncio.Future[Sequence[Row]]]] = deque()

    async def warm_up(self) -> None:
        """Do nothing: what was measured was warm."""

    async def check(self) -> None:
        """Do nothing: it can always run."""

    async def close(self) -> None:
        """Do nothing: it holds nothing."""

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        """Do nothing: no run hangs."""

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        """Run `batch` on a free slot, or as soon as there is one; if `alone`, at once and on all cores."""
        rows: asyncio.Future[Sequence[Row]] = self._loop.create_future()
        if alone or self._free:
            self._start(batch, rows, alone=alone)
        else:
            self._ahead.append((batch, rows))
        return rows

    def _start(self, batch: Batch, rows: asyncio.Future[Sequence[Row]], *, alone: bool) -> None:
        images = cast("Sequence[Image]", batch.claim())
        costs = self._costs

        def over() -> None:
            if not alone:
                self._free += 1
                if self._ahead:
                    self._start(*self._ahead.popleft(), alone=False)
            if not rows.done():
                rows.set_result([_ROW] * len(images))

        if alone:
            seconds = self._chance.choice(costs.alone) + sum(image.resize_alone_seconds for image in images)
            self._cores.run(seconds, over, threads=costs.slots * costs.threads)
            return
        self._free -= 1
        seconds = costs.cold_seconds + batch_seconds(costs, len(images))
        seconds += sum(image.resize_seconds for image in images) / costs.threads
        self._cores.run(
            seconds * drawn(costs, self._cores, self._chance), over, threads=1 if costs.on_device else costs.threads
        )


def drawn(costs: Costs, cores: Cores, chance: random.Random) -> float:
    """By which factor a run that begins now takes longer than the usual one by itself."""
    return chance.choice(costs.spread_beside if cores.threads else costs.spread)


def batch_seconds(costs: Costs, images: int) -> float:
    """What a batch of so many images takes by itself: as measured, or on the straight line between two that were."""
    known = costs.batch_seconds
    if images in known:
        return known[images]
    sizes = sorted(known)
    at = bisect_left(sizes, images)
    if at in (0, len(sizes)):  # in proportion to the nearest
        nearest = sizes[0] if at == 0 else sizes[-1]
        return known[nearest] * images / nearest
    low, high = sizes[at - 1], sizes[at]
    return known[low] + (known[high] - known[low]) * (images - low) / (high - low)
