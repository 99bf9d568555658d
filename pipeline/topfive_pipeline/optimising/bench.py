"""What all trials work on: the source, what photos say of it, others to compare on, and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.optimising.calibrated import Calibrated
from topfive_pipeline.optimising.quantising import Recipe, quantised
from topfive_pipeline.optimising.source import Source
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.running import Graph

Progress = Callable[[str], None]
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pictures:
    """Photos with their crops UINT8 [h, w, 3]; `labels` INT64 [n] if every photo's class is known."""

    photos: Sequence[Photo]
    crops: Sequence[NDArray[np.uint8]]
    labels: NDArray[np.int64] | None

    def first(self, most: int) -> Pictures:
        """At most `most` of them."""
        return Pictures(self.photos[:most], self.crops[:most], None if self.labels is None else self.labels[:most])


def cropped(photos: Sequence[Photo], resize: Graph, progress: Progress) -> Pictures:
    """`photos` as the resize graph crops them. Raises `ConfigurationError` if one is no picture."""
    crops = []
    for done, photo in enumerate(photos):
        progress(f"reading photos, {done + 1} of {len(photos)}")
        crops.append(resize.run(np.asarray(photo.image())[np.newaxis])[0][0])
    known = [photo.label for photo in photos if photo.label is not None]
    return Pictures(photos, crops, np.array(known, np.int64) if len(known) == len(photos) > 0 else None)


@dataclass(frozen=True, slots=True)
class Bench:
    """What trials are compared on.

    `held` are the photos of the calibrating half that did not calibrate, `reference` the source's scores of them;
    `until` is when trials must end, by `time.monotonic`.
    """

    source: Source
    calibrated: Calibrated
    held: Pictures
    reference: Scores
    until: float
    progress: Progress
    warnings: list[str] = field(default_factory=list)

    def quantised(self, recipe: Recipe) -> Any:
        """The source's ModelProto by `recipe`."""
        return quantised(self.source, self.calibrated, recipe)

    def share_left(self, share: float, *, of: float) -> bool:
        """Whether more than `share` of the `of` seconds is left."""
        return time.monotonic() < self.until - share * of
