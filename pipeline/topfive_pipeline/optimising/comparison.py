"""Floating point, the customary ways to quantise, and what was chosen, on the photos that judge: a row for each.

It is for the reader only. All choices were made before, on other photos.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from topfive_pipeline.optimising.bench import Bench, Pictures, Scores
from topfive_pipeline.optimising.judged import Judged, judge
from topfive_pipeline.optimising.measuring import BATCH, Speed, scores_of, speeds
from topfive_pipeline.optimising.quantising import Recipe

LARGEST_BATCH: Final = 128
_ROUNDS: Final = 15
_ROUNDS_OF_LARGEST: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One graph: what it answers beside the first, FP32, and how many times as fast it is, by batch size."""

    title: str
    judged: Judged
    megabytes: float
    speed: Mapping[int, Speed]


def compare(
    bench: Bench,
    chosen: tuple[Recipe, Any, Scores],
    pictures: Pictures,
    original: tuple[Any, float],
    *,
    budget: float,
) -> tuple[Row, ...]:
    """Rows for FP32, for each way to calibrate as tools do it, without anything more, and for the `chosen`.

    `chosen`: its recipe, graph and scores of `pictures`. `original`: the graph as it is served, and its megabytes.
    """
    recipe, model, scores = chosen
    source = bench.source
    plain = replace(recipe, rounding="nearest", floats=frozenset())
    graphs: list[tuple[str, Any]] = []
    for method in bench.calibrated.ranges:
        bench.progress(f"the accuracy of INT8 ({method})")
        graphs.append((f"INT8 ({method})", bench.quantised(replace(plain, method=method))))
    before = scores_of(source.model, source.scores, pictures.crops)
    answers = [before, *(scores_of(each, source.scores, pictures.crops) for _, each in graphs), scores]
    models = [original[0], *(each for _, each in graphs), model]
    bench.progress(f"measuring the speed of {len(models)} graphs")
    fast = _speeds(models, pictures)
    titles = ["FP32", *(title for title, _ in graphs), "INT8 (chosen)"]
    sizes = [original[1], *(each.ByteSize() / 1e6 for each in models[1:])]
    return tuple(
        Row(title=title, judged=judge(pictures, each, before, budget=budget), megabytes=size, speed=speed)
        for title, each, size, speed in zip(titles, answers, sizes, fast, strict=True)
    )


def _speeds(models: Sequence[Any], pictures: Pictures) -> list[dict[int, Speed]]:
    """All at batch sizes 1 and 8, and the first and the last at the largest too.

    That takes long, and ways to calibrate make no difference to speed.
    """
    crop = pictures.crops[0]
    found = speeds(models, crop, rounds=_ROUNDS, batches=(1, BATCH))
    ends = speeds([models[0], models[-1]], crop, rounds=_ROUNDS_OF_LARGEST, batches=(LARGEST_BATCH,))
    for place, speed in zip((0, -1), ends, strict=True):
        found[place] |= speed
    return found
