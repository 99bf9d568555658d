"""The shipped int8 graph: an image's answer does not depend on the batch it is in, by more than the docs say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import Photo
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import REAL_REPOSITORY
from topfive.backends.embedded import EmbeddedFactory
from topfive.machine.workers import WorkerPool
from topfive.repository.graph_choice import GraphChoice
from topfive.repository.reading import StoredModel

BOUND: Final = 1e-3
"""Of a probability: docs/optimise.md."""


@pytest.fixture(scope="module")
def model() -> StoredModel:
    stored = read_repository(REAL_REPOSITORY, choice=GraphChoice())["efficientnet_lite0_classify"]
    if not stored.config.int8_filename:
        pytest.skip("the shipped model has no int8 graph")
    return stored


@pytest.fixture(scope="module")
def crops(cat: Photo, coffee: Photo, palace: Photo) -> NDArray[np.uint8]:
    """UINT8 [8, 224, 224, 3], of real photos."""
    corners = [(photo, 20 * step, 60 * step) for step in range(3) for photo in (cat, coffee, palace)]
    return np.stack([photo[top : top + 224, left : left + 224] for photo, top, left in corners[:8]])


class Members(list[NDArray[np.uint8]]):
    """A batch whose members are all wanted."""

    deadline = float("inf")

    def claim(self) -> Sequence[NDArray[np.uint8]]:
        return self


async def test_an_image_is_answered_alike_in_batches_of_all_sizes(model: StoredModel, crops: NDArray[np.uint8]) -> None:
    """Alone on one thread, alone on both, and in batches of 2 to 8; the first label is the same too."""
    pool = WorkerPool(threads=2, name="compute")
    backend = await EmbeddedFactory(cores=2, alone_threads=0).batched(model.config, model.graph_path(1), pool)
    try:
        alone = [(await backend.infer(Members([crop]), alone=False))[0] for crop in crops]
        runs = [[(await backend.infer(Members([crop]), alone=True))[0] for crop in crops]]
        runs += [list(await backend.infer(Members(crops[:size]), alone=False)) for size in range(2, 9)]
    finally:
        await backend.close()
        assert pool.close(timeout_seconds=30)
    for rows in runs:
        for row, expected in zip(rows, alone, strict=False):
            assert np.abs(row["probabilities"] - expected["probabilities"]).max() <= BOUND
            assert row["indices"][0] == expected["indices"][0]
