"""What is made of a stored model; what cannot be served holds nothing afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.testkit.fakes import FakeClock, HeldBackend, LocalFactory, settle
from tests.testkit.stored_models import read_repository
from tests.testkit.tiny_models import (
    BATCHING,
    CLASSIFIER_CONFIG,
    classifier_graph,
    write_model,
    write_tiny_repository,
    write_version,
)
from topfive.backends.null import NullPerImageGraph
from topfive.batching.items import QueueLimits
from topfive.ground.errors import ConfigurationError
from topfive.machine.workers import WorkerPool
from topfive.models.loading import BatchedUnit, Loader, QueueDefaults, fingerprint
from topfive.observe.metrics import Metrics
from topfive.repository.model_config import ModelConfig
from topfive.repository.reading import StoredModel


class WatchedBackend(HeldBackend):
    """Warms up when told, or fails to; tells whether it was closed."""

    def __init__(self) -> None:
        super().__init__(batch_size_that_pays=3)
        self.warm = asyncio.get_running_loop().create_future()
        self.closed = False

    async def warm_up(self) -> None:
        await self.warm

    async def close(self) -> None:
        self.closed = True


class WatchedFactory(LocalFactory):
    """Makes one backend that the test steers; its per-image graphs raise `error`, if there is one."""

    name = "watched"

    def __init__(self) -> None:
        self.backend = WatchedBackend()
        self.error: Exception | None = None

    async def per_image(self, config: ModelConfig, path: Path) -> NullPerImageGraph:
        if self.error is not None:
            raise self.error
        return NullPerImageGraph(config.outputs[0])

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> WatchedBackend:
        return self.backend


def loader(factory: WatchedFactory) -> Loader:
    return Loader(
        factory=factory,
        pool=WorkerPool(threads=1, name="compute"),
        defaults=QueueDefaults(max_items=77, max_bytes=1 << 20),
        clock=FakeClock(),
        metrics=Metrics(),
        on_failure=lambda error: pytest.fail(f"the batcher failed: {error}"),
        on_batch_failure=lambda model, size, error: pytest.fail(f"a batch failed: {error}"),
    )


def classifier(repository: Path, text: str = CLASSIFIER_CONFIG) -> StoredModel:
    write_model(repository, "m", text, classifier_graph())
    return read_repository(repository)["m"]


async def test_a_classifier_gets_a_queue_of_the_bounds_configured(tmp_path: Path) -> None:
    """And of the size of batch that the backend found to pay."""
    factory = WatchedFactory()
    factory.backend.warm.set_result(None)
    text = CLASSIFIER_CONFIG.replace(BATCHING, "dynamic_batching { max_queue_delay_microseconds: 2000 }")
    unit = await loader(factory).load(classifier(tmp_path, text), 1)
    assert isinstance(unit, BatchedUnit)
    assert unit.batcher._queue.limits == QueueLimits(3, 77, 1 << 20, 0.002, graph_batch_size=8)
    computed_elsewhere = {"engine": "", "precision": ""}
    found = {"model": "m", "version": "1", "backend": "watched", "slots": "1", "limit": "3"}
    assert unit.labels == found | computed_elsewhere
    assert not factory.backend.closed


async def test_a_backend_that_fails_at_warm_up_is_closed(tmp_path: Path) -> None:
    factory = WatchedFactory()
    factory.backend.warm.set_exception(RuntimeError("no such operator"))
    with pytest.raises(ConfigurationError, match=r"m/1/model\.onnx: the graph fails at warm-up: no such operator"):
        await loader(factory).load(classifier(tmp_path), 1)
    assert factory.backend.closed


async def test_a_backend_whose_loading_is_cancelled_is_closed(tmp_path: Path) -> None:
    factory = WatchedFactory()
    attempt = asyncio.create_task(loader(factory).load(classifier(tmp_path), 1))
    await settle()
    attempt.cancel()
    await asyncio.wait([attempt])
    assert attempt.cancelled()
    assert factory.backend.closed


async def test_a_backend_whose_files_changed_meanwhile_is_closed(tmp_path: Path) -> None:
    factory = WatchedFactory()
    attempt = asyncio.create_task(loader(factory).load(classifier(tmp_path), 1))
    await settle()
    write_version(tmp_path, "m", 1, classifier_graph(prefix="other"))
    factory.backend.warm.set_result(None)
    with pytest.raises(ConfigurationError, match="changed while it was being loaded"):
        await attempt
    assert factory.backend.closed


@pytest.mark.parametrize("error", [ConfigurationError("no such graph"), RuntimeError("no such graph")])
async def test_a_step_that_fails_is_named(tmp_path: Path, error: Exception) -> None:
    factory = WatchedFactory()
    factory.error = error
    stored = read_repository(write_tiny_repository(tmp_path))
    with pytest.raises(ConfigurationError, match="no such graph"):
        await loader(factory).load(stored["crop"], 1)


@pytest.mark.parametrize(
    ("more", "same"),
    [
        ("", True),
        ("# a comment", True),
        ("version_policy { all { } }", True),
        ("instance_group { count: 1 }", False),
        ('parameters { key: "intra_op_thread_count" value { string_value: "2" } }', False),
    ],
)
def test_a_configuration_is_another_if_it_means_something_else(tmp_path: Path, more: str, same: bool) -> None:
    """For a version: which of them are served is not its own business."""
    before = fingerprint(classifier(tmp_path), 1)
    (tmp_path / "m" / "config.pbtxt").write_text(CLASSIFIER_CONFIG + more, encoding="utf-8")
    after = fingerprint(read_repository(tmp_path)["m"], 1)
    assert (after == before) is same
