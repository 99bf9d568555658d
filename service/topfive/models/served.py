"""The served models, by name and version.

What lives here: what a served model is, and how one is found. What does not: loading (`models.loading`), the runtime
(`backends`), the life of a request (`request.classifier`).
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass

from topfive.backends.base import PerImageGraph
from topfive.batching.batcher import Batcher
from topfive.ground.errors import UnknownModel
from topfive.ground.types import LookedUp, TensorSpec, Timings
from topfive.observe.metrics import ModelMetrics
from topfive.observe.statistics import Statistics
from topfive.repository.model_config import ModelConfig


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model that clients can call: perhaps a graph that runs on each image by itself, then a batcher.

    `config`: its own configuration. `batched`: the classifier whose batcher an ensemble shares; None if this is no
    ensemble. `image`: the spec that a decoded image must fit. `crop_shape`: the shape that the per-image graph makes of
    an image, if the batcher's slots may run that graph, else None. `queue_timeout_seconds`: 0 means none.
    `jpeg_short_side`: how short a side a JPEG may be decoded to; 0 means that all are decoded at full size.
    `preprocessing`: the text with which the per-image graph says what it does to an image; empty if it does not.
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
    jpeg_short_side: int = 0
    preprocessing: str = ""

    @property
    def unit(self) -> Hashable:
        """What decides its answers: equal only while nothing of it was loaded anew, be it under the same version."""
        return self.batcher, self.per_image, self.crop_shape, self.jpeg_short_side

    def count(
        self, images: int, timings: Timings | None, total_seconds: float, *, looked_up: LookedUp | None = None
    ) -> None:
        """Count one request, also for the classifier of an ensemble; with `timings` None, as one that failed."""
        model: ServedModel | None = self
        while model is not None:
            if timings is None:
                model.statistics.failed(total_seconds)
            else:
                model.statistics.succeeded(images, timings, total_seconds, looked_up=looked_up)
            model = model.batched


class Models:
    """All served models by name and version, as they are between two changes.

    `steps`: the names of models that are steps, each with the name of its ensemble. `default`: the model for requests
    that name none; if it is None, the only ensemble, else the only model.
    """

    def __init__(
        self,
        served: Mapping[str, Mapping[int, ServedModel]],
        steps: Mapping[str, str],
        *,
        default: str | None = None,
    ) -> None:
        self._served = served
        self._steps = steps
        self._offered = [name for name in served if name not in steps]
        self._default = default or _only_model(served)

    def __iter__(self) -> Iterator[ServedModel]:
        return (model for versions in self._served.values() for model in versions.values())

    @property
    def only_steps(self) -> Collection[str]:
        """Names of the models that only prepare images for ensembles; clients cannot call them."""
        return self._steps.keys() - self._served.keys()

    def why_no_default(self) -> str | None:
        """Why the default model is not served, if one is set; None if it is served or none is set."""
        if self._default is None or self._default in self._served:
            return None
        return self._why_unknown(self._default, is_default=True)

    def find(self, name: str | None = None, version: int | None = None, *, but: Collection[int] = ()) -> ServedModel:
        """The model `name` (the default if None) in `version`; raises `UnknownModel`.

        If `version` is None, it is the highest that is not in `but`, or if there is no other, the highest.
        """
        is_default = name is None
        if name is None:
            name = self._default
        versions = self._served.get(name) if name is not None else None
        if versions is None:
            raise UnknownModel(self._why_unknown(name, is_default=is_default))
        if version is None:
            return versions[max((each for each in versions if each not in but), default=max(versions))]
        if version not in versions:
            served = ", ".join(map(str, versions))
            raise UnknownModel(f"version {version} of model '{name}' is not served; served are: {served}")
        return versions[version]

    def _why_unknown(self, name: str | None, *, is_default: bool) -> str:
        served = ", ".join(self._offered)
        if not served:
            return "no model is served; load one, or put one into the model repository"
        if name is None:
            return (
                f"several models are served; choose one with ?model=: {served}; or have the operator set "
                "TOPFIVE_DEFAULT_MODEL"
            )
        if is_default:
            return (
                f"the default model '{name}' (TOPFIVE_DEFAULT_MODEL) is not served now; ?model= chooses one of those "
                f"that are: {served}"
            )
        if name in self._steps:
            return f"model '{name}' only runs as a step of the ensemble '{self._steps[name]}'; served are: {served}"
        return f"model '{name[:100]}' is not served; served are: {served}"


def _only_model(served: Mapping[str, Mapping[int, ServedModel]]) -> str | None:
    """The model of requests that name none: the only ensemble, or without ensembles the only model, else None."""
    ensembles = [name for name, versions in served.items() if any(model.per_image for model in versions.values())]
    candidates = ensembles or list(served)
    return candidates[0] if len(candidates) == 1 else None
