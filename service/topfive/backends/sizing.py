"""Finds the batch size that pays, by measuring the cost of batches.

What lives here: the search, and the images to measure and warm up with. What does not: running a batch (the backends).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from topfive.repository.model_config import ModelConfig

_MEASUREMENTS: Final = 3
"""Measurements of each batch size at warm-up; the fastest counts, because noise only makes runs slower."""
_WORTH_IT: Final = 0.05
"""A larger batch pays if it lowers the cost per image by more than this share: what is handed over in one saves too."""
_FREE_SIDE_PIXELS: Final = 256
"""The side of images to measure with, if the declared dimension is free."""


async def find_batch_size_that_pays(seconds: Callable[[int], Awaitable[float]], *, max_batch_size: int) -> int:
    """The size, a power of two, beyond which no doubling lowers the cost per image by more than `_WORTH_IT`.

    `seconds` measures a batch of a size once, while all slots run one, because under load they share caches and memory
    bandwidth. The search ends when two doublings in a row did not pay.
    """
    best_size, best_cost, size = 1, float("inf"), 1
    while size <= max_batch_size and size <= 4 * best_size:
        cost = min([await seconds(size) for _ in range(_MEASUREMENTS)]) / size
        if cost < best_cost * (1 - _WORTH_IT):
            best_size, best_cost = size, cost
        size *= 2
    return best_size


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
