"""Models that are changed while they are served, without HTTP: really loaded, really run.

What lives here: a bench that loads a repository of the test's own, asks its models as a request does, and a factory
that counts what is loaded and can be held.
"""

from __future__ import annotations

import asyncio
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from tests.testkit.fakes import FakeClock, Inside
from topfive.backends.embedded import EmbeddedBackend, EmbeddedFactory
from topfive.backends.per_image import EmbeddedPerImageGraph
from topfive.batching.batch import Outcome
from topfive.ground.lifecycle import Lifecycle, State
from topfive.machine.workers import WorkerPool
from topfive.models.control import Mode, ModelControl
from topfive.models.following import Following
from topfive.models.index import IndexEntry
from topfive.models.live import LiveModels
from topfive.models.loading import BatchedUnit, Loader, QueueDefaults
from topfive.models.served import Models, ServedModel
from topfive.models.settling import Settling
from topfive.observe.metrics import Metrics
from topfive.repository.model_config import ModelConfig
from topfive.repository.reading import Repository

LOAD_SECONDS: Final = 120.0


class CountingFactory(EmbeddedFactory):
    """The embedded factory, which tells what it loaded; while `gate` is closed, it loads nothing."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(cores=2, alone_threads=0, load_seconds=LOAD_SECONDS, clock=clock)
        self.loaded: list[str] = []
        self.backends: list[weakref.ref[EmbeddedBackend]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.loading = 0
        self.most_at_once = 0

    async def per_image(self, config: ModelConfig, path: Path) -> EmbeddedPerImageGraph:
        await self._begin(path)
        try:
            return await super().per_image(config, path)
        finally:
            self.loading -= 1

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> EmbeddedBackend:
        await self._begin(path)
        try:
            backend = await super().batched(config, path, pool)
            self.backends.append(weakref.ref(backend))
            return backend
        finally:
            self.loading -= 1

    async def _begin(self, path: Path) -> None:
        self.loaded.append(f"{path.parent.parent.name}/{path.parent.name}")
        self.loading += 1
        self.most_at_once = max(self.most_at_once, self.loading)
        await self.gate.wait()


@dataclass
class ModelBench:
    """The models of `repository`, changed as `mode` allows; looks at it pause for `settle_seconds`."""

    repository: Path
    mode: Mode = "explicit"
    default_model: str | None = None
    settle_seconds: float = 0.0
    clock: FakeClock = field(default_factory=FakeClock)
    metrics: Metrics = field(default_factory=Metrics)
    following: Following | None = None

    def __post_init__(self) -> None:
        self.factory = CountingFactory(self.clock)
        self.lifecycle = Lifecycle(on_change=lambda state: None)
        self.live = LiveModels(lifecycle=self.lifecycle, metrics=self.metrics)
        repository = Repository(self.repository)
        self.control = ModelControl(
            mode=self.mode,
            repository=repository,
            settling=Settling(repository, clock=self.clock, seconds=self.settle_seconds),
            lifecycle=self.lifecycle,
            live=self.live,
            following=self.following,
        )
        self.pool = WorkerPool(threads=2, name="compute")
        self.loader = Loader(
            factory=self.factory,
            pool=self.pool,
            defaults=QueueDefaults(max_items=77, max_bytes=1 << 20, max_wait_seconds=0.75),
            clock=self.clock,
            metrics=self.metrics,
            on_failure=lambda error: pytest.fail(f"the batcher failed: {error}"),
            on_batch_failure=lambda model, size, error: pytest.fail(f"a batch failed: {error}"),
            default_model=self.default_model,
        )

    async def start(self) -> ModelBench:
        """Become ready with what is there."""
        await self.control.start(self.loader, Repository(self.repository).read(may_be_empty=True))
        self.factory.loaded.clear()
        self.lifecycle.enter(State.READY)
        return self

    async def close(self) -> None:
        await self.live.drain()
        assert self.pool.close(timeout_seconds=30)

    @property
    def models(self) -> Models:
        assert self.live.current is not None
        return self.live.current

    def unit(self, name: str, version: int = 1) -> BatchedUnit:
        unit = self.live.units[name, version]
        assert isinstance(unit, BatchedUnit)
        return unit

    async def label(self, value: int, name: str | None = None, version: int | None = None) -> str:
        """What a model says of an image of one value."""
        (label,) = await labels(self.models.find(name, version), value)
        return label

    def index(self, name: str) -> list[tuple[str, str]]:
        """Versions and states of the model `name`."""
        return [(entry.version, entry.state.value) for entry in self.control.index() if entry.name == name]

    def reason(self, name: str) -> str:
        """The one reason that the index gives for the model `name`."""
        (reason,) = {entry.reason for entry in self.control.index() if entry.name == name}
        return reason

    def entries(self, **filters: Any) -> list[IndexEntry]:
        return self.control.index(**filters)

    async def retired(self) -> None:
        """Return when what is no longer served is gone."""
        await until(lambda: not self.live.retiring)


async def labels(model: ServedModel, *values: int) -> list[str]:
    """What `model` says of images of these values, sent as one request whose body is here."""
    with Inside(model.batcher) as here:
        here.extend(len(values))
        images = [np.full((1, 5, 7, 3), value, np.uint8) for value in values]
        pixels = [image[:, :2, :2] if model.per_image is None else model.per_image(image) for image in images]
        here.release()
        outcomes: list[Outcome] = await model.batcher.submit([each[0] for each in pixels])
    return [str(outcome.row["classes"][0]) for outcome in outcomes]


async def until(condition: Any) -> None:
    """Return when `condition` holds; it is asked at every turn of the loop."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event of its own
            await asyncio.sleep(0.001)
