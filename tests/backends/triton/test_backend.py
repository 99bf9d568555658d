"""On a real tritonserver: batches come back as rows, its failures mean what they should, and a mismatch is named."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.tritonserver import Tritonserver, missing
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import (
    BATCHING,
    CLASSIFIER_CONFIG,
    CROP_CONFIG,
    HIGHEST_VALUE,
    classifier_graph,
    crop_graph,
    hanging_graph,
    write_model,
)
from topfive.backends.base import Row
from topfive.backends.embedded import EmbeddedFactory
from topfive.backends.triton.backend import TritonBackend, TritonFactory
from topfive.backends.triton.channel import Channel
from topfive.ground.errors import (
    BackendFailure,
    BackendMismatch,
    BackendUnreachable,
    ConfigurationError,
    DeadlineExceeded,
    QueueFull,
)
from topfive.machine.workers import WorkerPool

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

ONE_AT_A_TIME = "instance_group { count: 1 kind: KIND_CPU }"
SHORT_QUEUE = CLASSIFIER_CONFIG.replace(BATCHING, "dynamic_batching { default_queue_policy { max_queue_size: 1 } }\n")
SECONDS = 30.0


class Images(list[NDArray[np.uint8]]):
    """A batch whose members are all wanted."""

    def __init__(self, *values: int, deadline: float = float("inf")) -> None:
        super().__init__(np.full((2, 2, 3), value, np.uint8) for value in values)
        self.deadline = deadline

    def claim(self) -> Sequence[NDArray[np.uint8]]:
        return self


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_model(folder, "m", CLASSIFIER_CONFIG, classifier_graph())
    write_model(folder, "hangs", SHORT_QUEUE + ONE_AT_A_TIME, hanging_graph())
    return folder


@pytest.fixture(scope="module")
def triton(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tritonserver]:
    server = Tritonserver(tmp_path_factory.mktemp("triton"), repository)
    yield server
    server.close()


Make = Callable[..., Awaitable[TritonBackend]]


@pytest.fixture
async def make(triton: Tritonserver, repository: Path) -> AsyncIterator[Make]:
    """Makes the backend of a model in a repository, by default that of the server."""
    factories = []

    async def backend(model: str = "m", *, at: Path = repository, slots: int = 0) -> TritonBackend:
        factory = TritonFactory(
            triton.url,
            embedded=EmbeddedFactory(cores=1, alone_threads=1),
            slots=slots,
            timeout_seconds=SECONDS,
        )
        factories.append(factory)
        await factory.wait_until_reachable()
        stored = read_repository(at, on_triton=True)[model]
        return await factory.batched(stored.config, stored.graph_path(1), WorkerPool(threads=0, name="unused"))

    yield backend
    for factory in factories:
        await factory.close()


def labels(rows: Sequence[object]) -> list[str]:
    return [row["classes"][0] for row in rows]  # type: ignore[index]


async def test_rows_come_back_in_order(make: Make) -> None:
    backend = await make()
    await backend.warm_up()
    assert 1 <= backend.batch_size_that_pays <= 8
    batches = [Images(*range(first, first + 4)) for first in range(0, 200, 4)]
    results = await asyncio.gather(*(backend.infer(batch, alone=False) for batch in batches))
    assert [labels(rows) for rows in results] == [[f"value {image.max()}" for image in batch] for batch in batches]
    assert results[0][0]["probabilities"].tolist() == [0.5, 0.25, 0.125, 0.0625, 0.03125]
    assert results[0][3]["indices"].tolist() == [3, 4, 5, 6, 7]
    await backend.check()
    await backend.close()


async def test_a_batch_that_nobody_wants_any_more_is_not_sent(make: Make, triton: Tritonserver) -> None:
    backend = await make()
    before = triton.model_statistics("m")["execution_count"]
    assert await backend.infer(Images(), alone=False) == []
    assert triton.model_statistics("m")["execution_count"] == before


async def test_slots_are_two_for_each_instance_or_as_set(make: Make) -> None:
    assert (await make("hangs")).slots == 2
    assert (await make("hangs", slots=5)).slots == 5


async def test_a_graph_that_fails_fails_its_batch(make: Make) -> None:
    backend = await make()
    with pytest.raises(BackendFailure, match="failed on a batch"):
        await backend.infer(Images(1, HIGHEST_VALUE + 1), alone=False)
    assert labels(await backend.infer(Images(1), alone=False)) == ["value 1"]


async def until_there_is_room(backend: TritonBackend, batch: Images) -> Sequence[Row]:
    """Send it again as long as the one before it has not left the queue."""
    while True:
        with contextlib.suppress(QueueFull):
            return await backend.infer(batch, alone=False)


async def test_its_full_queue_is_told_from_its_absence(make: Make) -> None:
    """A call hangs there for ever, one may wait behind it."""
    backend = await make("hangs", slots=4)
    hanging = backend.infer(Images(255), alone=False)
    with contextlib.suppress(DeadlineExceeded):
        while True:  # it may be answered as long as the one that hangs has not arrived
            await until_there_is_room(backend, Images(1, deadline=time.monotonic() + 0.3))
    calls = {backend.infer(Images(value, deadline=time.monotonic() + SECONDS), alone=False) for value in range(3)}
    refused, waiting = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert [type(call.exception()) for call in refused] == [QueueFull] * len(refused)
    for call in (*waiting, hanging):
        call.cancel()
    await asyncio.wait([*waiting, hanging])
    await backend.check()
    await backend.close()


async def test_another_configuration_there_is_named(make: Make, tmp_path: Path) -> None:
    write_model(tmp_path, "m", CLASSIFIER_CONFIG.replace("max_batch_size: 8", "max_batch_size: 4"), classifier_graph())
    with pytest.raises(BackendMismatch, match=re.escape("max_batch_size: 4 here, 8 there")):
        await make(at=tmp_path)


async def test_a_model_that_is_not_there_is_named(make: Make, tmp_path: Path) -> None:
    write_model(tmp_path, "other", CLASSIFIER_CONFIG.replace('"m"', '"other"'), classifier_graph())
    with pytest.raises(BackendMismatch, match="version 1 of model 'other'"):
        await make("other", at=tmp_path)


async def test_what_triton_alone_honours_may_stand_in_a_model_that_it_runs(make: Make, tmp_path: Path) -> None:
    """And is looked for there."""
    write_model(tmp_path, "m", CLASSIFIER_CONFIG + "optimization { priority: PRIORITY_MAX }", classifier_graph())
    with pytest.raises(BackendMismatch, match=re.escape("optimization.priority")):
        await make(at=tmp_path)


async def test_it_may_not_stand_in_a_model_that_is_run_here(triton: Tritonserver, tmp_path: Path) -> None:
    write_model(tmp_path, "crop", CROP_CONFIG + "optimization { priority: PRIORITY_MAX }", crop_graph())
    stored = read_repository(tmp_path, on_triton=True)["crop"]
    embedded = EmbeddedFactory(cores=1, alone_threads=1)
    factory = TritonFactory(triton.url, embedded=embedded, slots=0, timeout_seconds=SECONDS)
    with pytest.raises(ConfigurationError, match=re.escape("'optimization.priority'")):
        await factory.per_image(stored.config, stored.graph_path(1))


async def test_a_triton_that_is_not_there_is_unreachable() -> None:
    channel = Channel("127.0.0.1:1", timeout_seconds=SECONDS)
    with pytest.raises(BackendUnreachable, match=re.escape("127.0.0.1:1")):
        await channel.infer(b"", None)
    await channel.close()
