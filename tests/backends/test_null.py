"""The null backend answers at once, in the declared shapes, with as many rows as it was given images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.backends.test_embedded import Members
from tests.testkit.tiny_models import CLASSIFIER_CONFIG, CROP_CONFIG, HIGHEST_VALUE
from topfive.backends.null import NullFactory
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig, parse_model_config

NO_FILE = Path("no/such/file")


def parsed(text: str) -> ModelConfig:
    return parse_model_config(text, name="m", where="config.pbtxt")


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("alone", [False, True])
async def test_every_image_gets_a_row_of_the_declared_shapes(count: int, alone: bool) -> None:
    """Whatever is on it, also what the real graph fails on; and without its file."""
    backend = await NullFactory().batched(parsed(CLASSIFIER_CONFIG), NO_FILE, WorkerPool(threads=1, name="unused"))
    await backend.warm_up()
    rows = await backend.infer(Members([np.full((2, 2, 3), HIGHEST_VALUE + 1, np.uint8)] * count), alone=alone)
    assert len(rows) == count
    for row in rows:
        assert {name: (values.shape, values.dtype) for name, values in row.items()} == {
            "classes": ((5,), np.dtype(object)),
            "probabilities": ((5,), np.dtype(np.float32)),
            "indices": ((5,), np.dtype(np.int64)),
        }
        assert row["classes"].tolist() == ["null"] * 5
    await backend.close()


async def test_it_batches_up_to_the_declared_size() -> None:
    backend = await NullFactory().batched(parsed(CLASSIFIER_CONFIG), NO_FILE, WorkerPool(threads=1, name="unused"))
    assert (backend.batch_size_that_pays, backend.slots, backend.serves_alone) == (8, 1, False)


async def test_its_per_image_graph_gives_black_images_of_the_declared_size() -> None:
    graph = await NullFactory().per_image(parsed(CROP_CONFIG), NO_FILE)
    made = graph(np.full((3, 40, 50, 3), 9, np.uint8))
    np.testing.assert_array_equal(made, np.zeros((3, 2, 2, 3), np.uint8))
    assert made.dtype == np.uint8
    assert not graph.blocking
