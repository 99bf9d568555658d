"""The loader: makes loaded units out of stored models, and served models out of units.

What lives here: `Unit`, one version of one model, loaded and warm, and how units are put together. What does not: which
models can be served together (`models.wiring`), when they are loaded (`models.live`), and the runtime of the graphs
(`backends`, handed in as a `BackendFactory`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from topfive.backends.base import Backend, BackendFactory, TriedPerImageGraph
from topfive.batching.batch import BatcherHooks
from topfive.batching.batcher import Batcher
from topfive.batching.items import QueueLimits
from topfive.ground.clock import Clock
from topfive.ground.errors import BackendUnreachable, ConfigurationError, TopfiveError
from topfive.machine.workers import WorkerPool
from topfive.models.served import Models, ServedModel
from topfive.models.wiring import classifies, served_versions, version_of_step
from topfive.observe.metrics import Metrics, ModelMetrics
from topfive.observe.statistics import Statistics
from topfive.repository.graph_properties import PREPROCESSING, property_of
from topfive.repository.model_config import ModelConfig, VersionPolicy
from topfive.repository.precision import computes_in
from topfive.repository.reading import Files, StoredModel


@dataclass(frozen=True, slots=True)
class QueueDefaults:
    """Bounds of a model's queue that its config.pbtxt does not set: images, bytes, and the estimated wait."""

    max_items: int
    max_bytes: int
    max_wait_seconds: float = float("inf")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a unit was loaded from; a unit with an equal fingerprint need not be loaded again.

    `config` is without its version_policy, which chooses versions but does not change any.
    """

    config: ModelConfig
    files: Files


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One version of a model, loaded and warm; a change of models keeps or replaces it as a whole."""

    name: str
    version: int
    fingerprint: Fingerprint


@dataclass(frozen=True, slots=True, eq=False)
class PreparingUnit(Unit):
    """A model whose graph an ensemble runs on each image by itself; `preprocessing`: what it says that it does."""

    graph: TriedPerImageGraph
    preprocessing: str


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleUnit(Unit):
    """An ensemble: only its metrics and statistics, for its graphs are units of their own."""

    metrics: ModelMetrics
    statistics: Statistics


@dataclass(frozen=True, slots=True, eq=False)
class BatchedUnit(Unit):
    """A classifier, with its batcher and its backend. `labels`: those of its metric `topfive_model_info`.

    `computes`: its precision and the file of its graph, and why it is not int8; empty if another process computes.
    """

    metrics: ModelMetrics
    statistics: Statistics
    batcher: Batcher
    backend: Backend
    labels: Mapping[str, str]
    computes: str


Key = tuple[str, int]
"""Name and version."""
Units = Mapping[Key, Unit]


def fingerprint(model: StoredModel, version: int) -> Fingerprint:
    """The fingerprint of `version` of `model`, as it is in the repository."""
    files = () if model.config.steps else model.files[version]
    return Fingerprint(replace(model.config, versions=VersionPolicy()), files)


@dataclass(frozen=True, slots=True)
class Loader:
    """Makes units out of stored models, and `Models` out of units."""

    factory: BackendFactory
    pool: WorkerPool
    defaults: QueueDefaults
    clock: Clock
    metrics: Metrics
    on_failure: Callable[[BaseException], None]
    on_batch_failure: Callable[[str, int, BaseException], None]
    default_model: str | None = None

    async def load(self, model: StoredModel, version: int) -> Unit:
        """Load `version` of `model` and warm it up; raises `ConfigurationError`, which names what cannot be served."""
        name = model.config.name
        if model.config.steps:
            return EnsembleUnit(name, version, fingerprint(model, version), self.metrics.model(name), Statistics())
        if classifies(model):
            return await self._batched(model, version)
        return await self._per_image(model, version)

    def serve(self, stored: Mapping[str, StoredModel], units: Units) -> Models:
        """What clients find of `stored`; `units` has all its versions, and `wiring.apply` has checked it."""
        served: dict[str, dict[int, ServedModel]] = {}
        steps: dict[str, str] = {}
        for name, model in stored.items():
            if not model.config.steps and classifies(model):
                served[name] = {version: _classifier(model, units[name, version]) for version in model.versions}
        for name, model in stored.items():
            if model.config.steps:
                first, second = model.config.steps
                steps[first.model] = steps[second.model] = name
                preparing = units[first.model, version_of_step(first, stored[first.model].versions, model)]
                assert isinstance(preparing, PreparingUnit)
                served[name] = {
                    version: _ensemble(model, units[name, version], preparing, served[second.model][version])
                    for version in served_versions(model, stored)
                }
        return Models(served, steps, default=self.default_model)

    async def _per_image(self, model: StoredModel, version: int) -> PreparingUnit:
        path = model.graph_path(version)
        try:
            graph = await self.factory.per_image(model.config, path)
        except TopfiveError:
            raise
        except Exception as error:
            raise ConfigurationError(f"{path}: the graph fails at warm-up: {error}") from error
        await asyncio.to_thread(model.check_unchanged, version)
        preprocessing = await asyncio.to_thread(property_of, path, PREPROCESSING)
        return PreparingUnit(model.config.name, version, fingerprint(model, version), graph, preprocessing)

    async def _batched(self, model: StoredModel, version: int) -> BatchedUnit:
        config = model.config
        backend = await self.factory.batched(config, model.graph_path(version), self.pool)
        try:
            await _warm_up(backend, model.graph_path(version))
            await asyncio.to_thread(model.check_unchanged, version)
            precision = await asyncio.to_thread(computes_in, model.graph_path(version), config)
        except BaseException:  # also a cancellation: nothing else refers to this backend
            await backend.close()
            raise
        metrics = self.metrics.model(config.name)
        limits = QueueLimits(
            max_batch_size=backend.batch_size_that_pays,
            max_items=config.max_queue_items or self.defaults.max_items,
            max_bytes=self.defaults.max_bytes,
            max_queue_delay_seconds=config.max_queue_delay_seconds,
            graph_batch_size=config.graph_batch_size,
            max_wait_seconds=self.defaults.max_wait_seconds,
            priority_levels=config.priority_levels,
            default_priority_level=config.default_priority_level,
        )
        statistics = Statistics()
        hooks = self._hooks(config.name, metrics, statistics)
        batcher = Batcher(backend=backend, limits=limits, clock=self.clock, hooks=hooks)
        labels = {
            "model": config.name,
            "version": str(version),
            "backend": self.factory.name,
            "engine": backend.engine,
            "precision": precision if backend.engine else "",
            "slots": str(backend.slots),
            "limit": str(limits.max_batch_size),
        }
        graph = model.graphs[version]
        said = [precision or "an unknown precision", "from", graph.filename]
        why = f" ({graph.why_not_int8})" if graph.why_not_int8 else ""
        computes = " ".join(said) + why if backend.engine else ""
        return BatchedUnit(
            config.name, version, fingerprint(model, version), metrics, statistics, batcher, backend, labels, computes
        )

    def _hooks(self, name: str, metrics: ModelMetrics, statistics: Statistics) -> BatcherHooks:
        def on_batch(size: int, prepare_seconds: float, inference_seconds: float) -> None:
            metrics.batch_size.observe(size)
            statistics.ran_batch(size, prepare_seconds, inference_seconds)

        def on_batch_failure(size: int, error: BaseException) -> None:
            metrics.batch_failures.inc()
            self.on_batch_failure(name, size, error)

        return BatcherHooks(
            on_batch=on_batch,
            on_batch_failure=on_batch_failure,
            on_discard=lambda reason: self.metrics.rejected.labels(reason).inc(),
            on_failure=self.on_failure,
        )


async def _warm_up(backend: Backend, path: Path) -> None:
    try:
        await backend.warm_up()
    except (BackendUnreachable, ConfigurationError):
        raise  # it is not about the graph, or it says all that there is to say
    except Exception as error:
        raise ConfigurationError(f"{path}: the graph fails at warm-up: {error}") from error


def _classifier(model: StoredModel, unit: Unit) -> ServedModel:
    assert isinstance(unit, BatchedUnit)
    config = model.config
    return ServedModel(
        name=unit.name,
        version=unit.version,
        image=config.inputs[0],
        per_image=None,
        crop_shape=None,
        batcher=unit.batcher,
        queue_timeout_seconds=config.queue_timeout_seconds,
        allow_timeout_override=config.allow_timeout_override,
        metrics=unit.metrics,
        config=config,
        statistics=unit.statistics,
        batched=None,
    )


def _ensemble(model: StoredModel, unit: Unit, preparing: PreparingUnit, batched: ServedModel) -> ServedModel:
    assert isinstance(unit, EnsembleUnit)
    crop_shape = batched.image.shape[1:]
    return ServedModel(
        name=unit.name,
        version=unit.version,
        image=model.config.inputs[0],
        per_image=preparing.graph,
        crop_shape=crop_shape if batched.batcher.prepares and -1 not in crop_shape else None,
        batcher=batched.batcher,
        queue_timeout_seconds=batched.queue_timeout_seconds,
        allow_timeout_override=batched.allow_timeout_override,
        metrics=unit.metrics,
        config=model.config,
        statistics=unit.statistics,
        batched=batched,
        jpeg_short_side=preparing.fingerprint.config.jpeg_short_side,
        preprocessing=preparing.preprocessing,
    )
