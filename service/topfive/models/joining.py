"""Tries whether the loaded steps of an ensemble fit, where their configurations leave the size of the crop open.

What lives here: that trial, and the memory of those that failed. What does not: what configurations alone can tell
(`models.wiring`), and where the size is fixed: each graph was then compared with it when it was loaded (`backends`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from topfive.ground.errors import BackendUnreachable, ConfigurationError
from topfive.models.loading import BatchedUnit, Fingerprint, PreparingUnit, Units, fingerprint
from topfive.models.wiring import served_versions, version_of_step
from topfive.repository.reading import StoredModel

_Joint = tuple[StoredModel, int, int]
"""An ensemble, and the versions of its preparing model and its classifier."""


class Joining:
    """Tries the joints of ensembles, and remembers by the ensemble's name what failed, so as not to load it again."""

    def __init__(self) -> None:
        self._broken: dict[str, tuple[tuple[Fingerprint, ...], str]] = {}

    def refuse_known(self, stored: Mapping[str, StoredModel]) -> None:
        """Raise the reason if an ensemble of `stored` has steps that were tried together and did not fit."""
        for ensemble, first, second in _open_joints(stored):
            tried, reason = self._broken.get(ensemble.config.name, (None, ""))
            if tried == _fingerprints(stored, ensemble, first, second):
                raise ConfigurationError(reason)

    async def check(self, stored: Mapping[str, StoredModel], units: Units, before: Units) -> None:
        """Let each classifier run on what its preparing graph makes, if either was not in `before`.

        Raises `ConfigurationError` if it cannot, or `BackendUnreachable`.
        """
        for ensemble, first, second in _open_joints(stored):
            keys = [(step.model, version) for step, version in zip(ensemble.config.steps, (first, second), strict=True)]
            preparing, batched = (units[key] for key in keys)
            assert isinstance(preparing, PreparingUnit)
            assert isinstance(batched, BatchedUnit)
            if all(units[key] is before.get(key) for key in keys):
                continue
            for height, width, channels in sorted(preparing.graph.made):
                try:
                    await batched.backend.infer(_One(np.zeros((height, width, channels), np.uint8)), alone=False)
                except BackendUnreachable:
                    raise
                except Exception as error:  # whatever the runtime raises
                    reason = (
                        f"{ensemble.folder}: '{preparing.name}' makes {height} x {width} pixels of an image, on which "
                        f"the graph of '{batched.name}' fails: {str(error).strip()}; export both for one size, "
                        "and declare its dims instead of -1"
                    )
                    self._broken[ensemble.config.name] = (_fingerprints(stored, ensemble, first, second), reason)
                    raise ConfigurationError(reason) from error

    def retry(self, names: Mapping[str, object]) -> None:
        """Forget that any of `names` failed: the cause may have been outside their files."""
        self._broken = {name: broken for name, broken in self._broken.items() if name not in names}


class _One:
    """A batch of one image that nobody waits for."""

    deadline = float("inf")

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._image = image

    def claim(self) -> Sequence[NDArray[np.uint8]]:
        return [self._image]


def _open_joints(stored: Mapping[str, StoredModel]) -> Iterator[_Joint]:
    for model in stored.values():
        if model.config.steps and -1 in stored[model.config.steps[-1].model].config.inputs[0].shape[1:]:
            step = model.config.steps[0]
            first = version_of_step(step, stored[step.model].versions, model)
            for second in served_versions(model, stored):
                yield model, first, second


def _fingerprints(
    stored: Mapping[str, StoredModel], ensemble: StoredModel, first: int, second: int
) -> tuple[Fingerprint, ...]:
    models = [stored[step.model] for step in ensemble.config.steps]
    return tuple(fingerprint(model, version) for model, version in zip(models, (first, second), strict=True))
