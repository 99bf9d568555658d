"""The result of a judgement: what was found of each model, on which photos, and on which machine."""

from __future__ import annotations

from collections.abc import Sequence
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


def short_names(models: Sequence[Judged]) -> tuple[str, list[str]]:
    """What all `models` are, and what tells each from the others: a model's name and its versions, or only titles."""
    names = {model.title.rpartition(":")[0] for model in models}
    if len(models) == 1 or len(names) > 1:
        return "model", [model.title for model in models]
    return names.pop(), [f"version {model.title.rpartition(':')[2]}" for model in models]
