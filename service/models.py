"""The models that are served, by name and version.

What lives here: what a served model is, and finding one. What does not: how it comes to be (`loading`), the runtime
(`backends`), the life of a request (`classifier`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from service.backends.base import Backend, PerImageGraph
from service.batcher import Batcher
from service.errors import UnknownModel
from service.metrics import ModelMetrics
from service.model_config import ModelConfig
from service.statistics import Statistics
from service.types import TensorSpec


@dataclass(frozen=True, slots=True)
class ServedModel:
    """What a client calls: optionally a graph run on each image by itself, then a batcher.

    `config` is its own; `batched`, of an ensemble, the classifier whose batcher it shares, else None.
    `image` is the spec that a decoded image must fit. `crop_shape` is what the per-image graph makes of it, where the
    batcher's slots may run that graph themselves, else None. A `queue_timeout_seconds` of 0 means none.
    """

    name: str
    version: int
    image: TensorSpec
    per_image: PerImageGraph | None
    crop_shape: tuple[int, ...] | None
    batcher: Batcher
    queue_timeout_seconds: float
    allow_timeout_override: bool
    metrics: ModelMetrics
    config: ModelConfig
    statistics: Statistics
    batched: ServedModel | None


class Models:
    """All served models by name and version; made by `load`."""

    def __init__(self, served: Mapping[str, Mapping[int, ServedModel]], backends: Mapping[Batcher, Backend]) -> None:
        self._served = served
        self._backends = backends
        self._default = _default_model(served)

    def find(self, name: str | None = None, version: int | None = None) -> ServedModel:
        """The model `name` (the default one if None) in `version` (the highest if None); raises `UnknownModel`."""
        if name is None:
            if self._default is None:
                raise UnknownModel(f"several models are served; choose one with ?model=: {', '.join(self._served)}")
            name = self._default
        versions = self._served.get(name)
        if versions is None:
            raise UnknownModel(f"model '{name[:100]}' is not served; served are: {', '.join(self._served)}")
        if version is None:
            return versions[max(versions)]
        if version not in versions:
            served = ", ".join(map(str, versions))
            raise UnknownModel(f"version {version} of model '{name}' is not served; served are: {served}")
        return versions[version]

    def publish(self) -> None:
        """Set the gauges of what waits."""
        for versions in self._served.values():
            own = [model for model in versions.values() if model.per_image is None]
            if own:  # an ensemble's images wait in its classifier's queue; the versions of a model share its gauges
                waiting = [model.batcher.waiting for model in own]
                own[0].metrics.publish_queue(sum(items for items, _ in waiting), sum(nbytes for _, nbytes in waiting))

    def hurry(self) -> None:
        """Make nobody wait for company in a batch any more."""
        for batcher in self._backends:
            batcher.hurry()

    def fail_if_stuck(self, seconds: float) -> bool:
        """Fail every batcher that has a batch which takes more than `seconds`; whether there was one."""
        stuck = [batcher.fail_if_stuck(seconds) for batcher in self._backends]
        return any(stuck)

    async def drain(self) -> None:
        """Answer everything that waits, then release the backends."""
        await asyncio.gather(*(batcher.drain() for batcher in self._backends))
        await asyncio.gather(*(backend.close() for backend in self._backends.values()))


def _default_model(served: Mapping[str, Mapping[int, ServedModel]]) -> str | None:
    """The one that clients mean: the only ensemble, else the only model."""
    ensembles = [name for name, versions in served.items() if any(model.per_image for model in versions.values())]
    candidates = ensembles or list(served)
    return candidates[0] if len(candidates) == 1 else None
