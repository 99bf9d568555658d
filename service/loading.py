"""From stored models to served ones: a per-image graph, a batched graph, or both in a row (an ensemble).

What lives here: what makes a classifier and what an ensemble, checked, and the order of loading and warming up. What
does not: which runtime runs the graphs (`backends`, handed in as a `BackendFactory`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from service.backends.base import Backend, BackendFactory, PerImageGraph
from service.batch import BatcherHooks
from service.batcher import Batcher
from service.batching_queue import QueueLimits
from service.clock import Clock
from service.errors import ConfigurationError, TopfiveError
from service.metrics import Metrics, ModelMetrics
from service.models import Models, ServedModel
from service.repository import StoredModel
from service.statistics import Statistics
from service.types import TensorSpec
from service.workers import WorkerPool

OUTPUTS: Final = {"classes": "BYTES", "probabilities": "FP32", "indices": "INT64"}
"""What a classifier must put out, each of shape [N, k]: labels, and their probabilities and indices, best first."""
_CHANNELS: Final = 3

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class QueueDefaults:
    """Bounds of a model's queue where its config.pbtxt does not say: images, bytes, and the estimated wait."""

    max_items: int
    max_bytes: int
    max_wait_seconds: float = float("inf")


@dataclass(frozen=True, slots=True)
class Loader:
    """Makes `Models` out of stored ones."""

    factory: BackendFactory
    pool: WorkerPool
    defaults: QueueDefaults
    clock: Clock
    metrics: Metrics
    on_failure: Callable[[BaseException], None]
    on_batch_failure: Callable[[str, int, BaseException], None]

    async def load(self, stored: Mapping[str, StoredModel]) -> Models:
        """Load and warm up every model; raises `ConfigurationError` naming what cannot be served."""
        served: dict[str, dict[int, ServedModel]] = {}
        backends: dict[Batcher, Backend] = {}
        preparing: dict[str, dict[int, PerImageGraph]] = {}
        ensembles = {name: model for name, model in stored.items() if model.config.steps}
        for model in ensembles.values():
            _check_wiring(model, stored)
        used = {step.model for model in ensembles.values() for step in model.config.steps}
        for name, model in stored.items():
            if name in ensembles:
                continue
            if _classifies(model):
                served[name] = {version: await self._batched(model, version, backends) for version in model.versions}
            elif name in used:
                preparing[name] = {version: await self._per_image(model, version) for version in model.versions}
            else:
                raise ConfigurationError(
                    f"{model.folder}: neither a classifier nor a step of an ensemble; a classifier has the outputs "
                    + ", ".join(f"'{output}' ({datatype})" for output, datatype in OUTPUTS.items())
                )
        for name, model in ensembles.items():
            served[name] = {version: self._ensemble(model, version, preparing, served) for version in model.versions}
        return Models(served, backends)

    async def _per_image(self, model: StoredModel, version: int) -> PerImageGraph:
        path = model.graph_path(version)
        try:
            return await self.factory.per_image(model.config, path)
        except TopfiveError:
            raise
        except Exception as error:
            raise ConfigurationError(f"{path}: the graph fails at warm-up: {error}") from error

    async def _batched(self, model: StoredModel, version: int, backends: dict[Batcher, Backend]) -> ServedModel:
        config = model.config
        _check_image_input(config.name, config.inputs)
        path = model.graph_path(version)
        backend = await self.factory.batched(config, path, self.pool)
        try:
            await backend.warm_up()
        except Exception as error:
            raise ConfigurationError(f"{path}: the graph fails at warm-up: {error}") from error
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
        backends[batcher] = backend
        self.metrics.describe_model(
            {
                "model": config.name,
                "version": str(version),
                "backend": self.factory.name,
                "slots": str(backend.slots),
                "limit": str(limits.max_batch_size),
            }
        )
        return ServedModel(
            name=config.name,
            version=version,
            image=config.inputs[0],
            per_image=None,
            crop_shape=None,
            batcher=batcher,
            queue_timeout_seconds=config.queue_timeout_seconds,
            allow_timeout_override=config.allow_timeout_override,
            metrics=metrics,
            config=config,
            statistics=statistics,
            batched=None,
        )

    def _ensemble(
        self,
        model: StoredModel,
        version: int,
        preparing: Mapping[str, Mapping[int, PerImageGraph]],
        served: Mapping[str, Mapping[int, ServedModel]],
    ) -> ServedModel:
        config = model.config
        first, second = config.steps
        batched = _of_version(served[second.model], second.version, model)
        crop_shape = batched.image.shape[1:]
        return ServedModel(
            name=config.name,
            version=version,
            image=config.inputs[0],
            per_image=_of_version(preparing[first.model], first.version, model),
            crop_shape=crop_shape if batched.batcher.prepares and -1 not in crop_shape else None,
            batcher=batched.batcher,
            queue_timeout_seconds=batched.queue_timeout_seconds,
            allow_timeout_override=batched.allow_timeout_override,
            metrics=self.metrics.model(config.name),
            config=config,
            statistics=Statistics(),
            batched=batched,
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


def _classifies(model: StoredModel) -> bool:
    return OUTPUTS.items() <= {output.name: output.datatype for output in model.config.outputs}.items()


def _check_image_input(name: str, inputs: tuple[TensorSpec, ...]) -> None:
    if (
        len(inputs) != 1
        or inputs[0].datatype != "UINT8"
        or len(inputs[0].shape) != 4
        or inputs[0].shape[3] != _CHANNELS
    ):
        raise ConfigurationError(
            f"model '{name}': its config.pbtxt must declare one input, TYPE_UINT8 with dims [height, width, 3]"
        )


def _check_wiring(model: StoredModel, stored: Mapping[str, StoredModel]) -> None:
    """Two steps, a per-image graph and a classifier: the one pipeline that the embedded backend runs."""
    config = model.config
    _check_image_input(config.name, config.inputs)
    steps = [stored[step.model] for step in config.steps if step.model in stored]
    if len(config.steps) != 2 or len(steps) != 2 or _classifies(steps[0]) or not _classifies(steps[1]):
        raise ConfigurationError(
            f"{model.folder}: the embedded backend runs ensembles of two steps, a model from image to UINT8 image and "
            "then a classifier; serve others on Triton"
        )
    first, second = config.steps
    image = config.inputs[0].name
    crop = next(iter(first.outputs.values()), None)
    prepared, wanted = steps[0].config.outputs[0], steps[1].config.inputs[0]
    wired = (
        first.inputs == {steps[0].config.inputs[0].name: image}
        and first.outputs == {prepared.name: crop}
        and second.inputs == {wanted.name: crop}
        and second.outputs == {name: name for name in OUTPUTS}
    )
    if not wired:
        raise ConfigurationError(
            f"{model.folder}: the steps' maps must lead '{image}' through '{first.model}' into '{second.model}', and "
            f"{', '.join(OUTPUTS)} out of it under their own names"
        )
    if (prepared.datatype, prepared.shape) != (wanted.datatype, wanted.shape):
        raise ConfigurationError(
            f"{model.folder}: '{first.model}' puts out {prepared.datatype} {list(prepared.shape)}, but "
            f"'{second.model}' takes {wanted.datatype} {list(wanted.shape)}"
        )


def _of_version(versions: Mapping[int, T], wanted: int, model: StoredModel) -> T:
    version = max(versions) if wanted == -1 else wanted
    if version not in versions:
        raise ConfigurationError(f"{model.folder}: a step names version {wanted}, which its version_policy leaves out")
    return versions[version]
