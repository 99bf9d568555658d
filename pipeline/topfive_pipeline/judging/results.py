"""The result of a judgement: what was found of each model, on which photos, and on which machine."""

from __future__ import annotations

from dataclasses import dataclass

from topfive_pipeline.judging.accuracy import Accuracy, Difference
from topfive_pipeline.judging.footprint import Footprint
from topfive_pipeline.judging.speed import ALONE, Pace


@dataclass(frozen=True, slots=True)
class Judged:
    """All figures of one model. `difference`: None for the first, which the others are compared with.

    `paces`: empty if the speed was left out.
    """

    title: str
    accuracy: Accuracy
    difference: Difference | None
    paces: tuple[Pace, ...]
    footprint: Footprint

    @property
    def alone(self) -> Pace | None:
        """The pace of one image that comes alone."""
        return next((pace for pace in self.paces if pace.case == ALONE), None)

    @property
    def fastest(self) -> Pace | None:
        """The pace at the batch size that is best for it."""
        batched = [pace for pace in self.paces if pace.case != ALONE] or list(self.paces)
        return min(batched, key=lambda pace: pace.seconds.median, default=None)
