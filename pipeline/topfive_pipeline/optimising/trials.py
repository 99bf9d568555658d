"""Tries kinds of integers, ways to calibrate, and what to quantise, one choice after the other; each is measured.

The kind is chosen by speed, for all kinds have nearly the same accuracy; the calibration by how little the scores
change; and what is between the layers by both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Final

from topfive_pipeline.optimising.bench import Bench
from topfive_pipeline.optimising.calibration import Method
from topfive_pipeline.optimising.machine import Kind
from topfive_pipeline.optimising.measuring import Distance, Speed, distance, scores_of, speeds
from topfive_pipeline.optimising.quantising import Recipe, can_fold

PAYS: Final = 1.1
"""How many times as fast a graph must be to be worth a loss."""
_SLOWER: Final = "refused: slower than FP32"
_SAME: Final = 0.05
"""Speeds closer than this share are the same: machines are not quieter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One recipe, measured. `speed` is by batch size, beside the source; `verdict` says why it lost, if it did."""

    recipe: Recipe
    speed: Mapping[int, Speed]
    distance: Distance
    megabytes: float
    verdict: str = ""

    @property
    def title(self) -> str:
        recipe = self.recipe
        scope = "" if recipe.scope == "all" else ", layers only"
        floats = f", {len(recipe.floats)} layers in float" if recipe.floats else ""
        rounding = "" if recipe.rounding == "compensated" else ", rounded to nearest"
        return f"{recipe.kind.name} {recipe.method}{rounding}{scope}{floats}"

    @property
    def pace(self) -> float:
        """The geometric mean of the ratios at all batch sizes."""
        return pace(self.speed)


def pace(speed: Mapping[int, Speed]) -> float:
    """The geometric mean of the ratios at all batch sizes."""
    return float(prod(each.ratio for each in speed.values()) ** (1 / len(speed)))


def try_out(bench: Bench, recipes: Sequence[Recipe]) -> list[Trial]:
    """Quantise by each of `recipes`, and measure all beside the source in the same rounds."""
    models: list[Any] = []
    far: list[Distance] = []
    source = bench.source
    for done, recipe in enumerate(recipes):
        bench.progress(f"quantising, {done + 1} of {len(recipes)}: {recipe.kind.name}, {recipe.method}")
        models.append(bench.quantised(recipe))
        far.append(distance(scores_of(models[-1], source.scores, bench.held.crops), bench.reference))
    bench.progress(f"measuring the speed of {len(models)} graphs beside the original")
    _, *fast = speeds([source.model, *models], bench.held.crops[0])
    return [
        Trial(recipe=recipe, speed=speed, distance=each, megabytes=model.ByteSize() / 1e6)
        for recipe, speed, each, model in zip(recipes, fast, far, models, strict=True)
    ]


def choose_kind(bench: Bench, kinds: Sequence[Kind], method: Method) -> list[Trial]:
    """All `kinds` by `method`; the fastest is the first, and the others' verdicts say what is wrong with them."""
    trials = try_out(bench, [Recipe(kind=kind, method=method) for kind in kinds])
    best, *others = sorted(trials, key=lambda trial: -trial.pace)
    return [_judged_kind(best, best), *(_judged_kind(each, best) for each in others)]


def choose_method(bench: Bench, best: Trial, others: Iterable[Method]) -> list[Trial]:
    """`best`, its recipe by `others` and rounded to nearest; what changes the scores least is the first."""
    recipes = [replace(best.recipe, method=method) for method in others]
    recipes.append(replace(best.recipe, rounding="nearest"))
    trials = [best, *try_out(bench, recipes)]
    first, *rest = sorted(trials, key=lambda trial: -trial.distance.sqnr)
    return [
        first,
        *(replace(each, verdict=f"{each.distance.sqnr - first.distance.sqnr:+.1f} dB") for each in rest),
    ]


def choose_scope(bench: Bench, best: Trial) -> list[Trial]:
    """`best`, and other ways to treat what is between and before the layers; the best is the first.

    The crop's bytes as the first quantised value lose nothing, so this is only a matter of speed.
    """
    recipes = [replace(best.recipe, scope="layers")]
    if can_fold(bench.source, best.recipe.kind):
        recipes.append(replace(best.recipe, folds_pixels=False))
    trials = [best, *try_out(bench, recipes)]
    fastest = max(trial.pace for trial in trials)
    fast = [trial for trial in trials if trial.pace >= fastest * (1 - _SAME)]
    first = max(fast, key=lambda trial: (round(trial.distance.sqnr, 1), trial is best, trial.pace))
    return [
        replace(first, verdict=_SLOWER if first.pace < 1 else ""),
        *(replace(each, verdict=_beside(each, first)) for each in trials if each is not first),
    ]


def _judged_kind(trial: Trial, best: Trial) -> Trial:
    if trial.pace < 1:
        return replace(trial, verdict=_SLOWER)
    return trial if trial is best else replace(trial, verdict=f"slower than {best.recipe.kind.name}")


def _beside(trial: Trial, best: Trial) -> str:
    if trial.pace < best.pace * (1 - _SAME):
        return "slower"
    if trial.distance.sqnr < best.distance.sqnr - 0.1:
        return f"{trial.distance.sqnr - best.distance.sqnr:+.1f} dB"
    return "no gain"
