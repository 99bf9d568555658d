"""Finds the batch size that pays, by measuring the cost of batches.

What lives here: the search, and the images to measure and warm up with. What does not: running a batch (the backends).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive.repository.model_config import ModelConfig

_ROUNDS: Final = 3
"""Measurements of each batch size at warm-up; the fastest counts, because noise only makes runs slower."""
_WORTH_IT: Final = 0.05
"""A larger batch pays if it lowers the cost per image by more than this share."""
_HAND_OVER_SECONDS: Final = 0.001
"""What a batch costs beside its run: threads that are woken, and Python that a graph has driven out of the caches."""
_FREE_SIDE_PIXELS: Final = 256
"""The side of images to measure with, if the declared dimension is free."""


async def find_batch_size_that_pays(seconds: Callable[[int], Awaitable[float]], *, max_batch_size: int) -> int:
    """The size, a power of two, beyond which no doubling lowers the cost per image by more than `_WORTH_IT`.

    `seconds` measures a batch of a size once, while all slots run one, because under load they share caches and memory
    bandwidth. Sizes take turns with the best one so far, so that what else the machine does hits all alike. The search
    ends when two doublings in a row did not pay.
    """
    best, costs = 1, dict[int, float]()
    while True:
        sizes = [size for size in (best, 2 * best, 4 * best) if size <= max_batch_size]
        if costs.keys() >= set(sizes):
            return best
        for _ in range(_ROUNDS):
            for size in sizes:
                cost = (await seconds(size) + _HAND_OVER_SECONDS) / size
                costs[size] = min(cost, costs.get(size, cost))
        best = _cheapest(costs)


def _cheapest(costs: Mapping[int, float]) -> int:
    """Of sizes in ascending order the last that is worth it, each against the one that was before."""
    best = 1
    for size, cost in costs.items():
        if cost < costs[best] * (1 - _WORTH_IT):
            best = size
    return best


def sample_shape(config: ModelConfig) -> tuple[int, ...]:
    """The shape of an image to measure with: the declared one, with 256 pixels for a side that is free."""
    return tuple(_FREE_SIDE_PIXELS if size == -1 else size for size in config.inputs[0].shape[1:])


def warm_up_batches(config: ModelConfig) -> list[NDArray[np.uint8]]:
    """The batches that the samples of its `model_warmup` ask for."""
    batches = []
    for sample in config.warm_ups:
        if sample.random:
            batch = np.random.default_rng(0).integers(0, 256, sample.shape, np.uint8)
        else:
            batch = np.zeros(sample.shape, np.uint8)
        batches += [batch] * sample.count
    return batches
