"""The result of a judgement: what was found of each model, on which photos, and on which machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from topfive.repository.accelerators import Engine
from topfive_pipeline.judging.accuracy import Accuracy, Difference
from topfive_pipeline.judging.footprint import Footprint
from topfive_pipeline.judging.speed import ALONE, Pace
from topfive_pipeline.judging.ways import Numbers


@dataclass(frozen=True, slots=True)
class Judged:
    """All figures of one model. `difference`: None for the first, which the others are compared with.

    `engine` and `numbers`: what ran its classifier, and what that computed in. `paces`: empty if the speed was left
    out.
    """

    title: str
    engine: Engine
    numbers: Numbers
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
    """What all `models` are, and what tells each from the others: a model's name and its versions, or only titles.

    What stands behind an @ is said in words; if all are of one version, only that.
    """
    split = [_split(model.title) for model in models]
    names = {name for name, _, _ in split}
    if len(models) == 1 or len(names) > 1:
        return "model", [model.title for model in models]
    (name,), versions = names, {version for _, version, _ in split}
    if len(versions) == 1 and all(way for _, _, way in split):
        return f"{name}:{versions.pop()}", [way for _, _, way in split]
    return name, [", ".join(filter(None, (f"version {version}", way))) for _, version, way in split]


def _split(title: str) -> tuple[str, str, str]:
    """Of a title the model's name, the version, and how it ran, in words."""
    name, _, rest = title.rpartition(":")
    version, _, way = rest.partition("@")
    return name, version, way.replace("-", " ")
