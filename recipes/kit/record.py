"""Keeps a run of a recipe in the log of experiments: what it was run with, on which data, and what it found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from recipes.kit.rows import Row
from recipes.kit.setting import Setting
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.experiments.runs import Run


def record(setting: Setting, recipe: str, rows: Sequence[Row]) -> None:
    """Record a run for each of `rows`; the log adds the version of the code, of libraries and the processor.

    `topfive evaluate` has recorded its judgement as well. A record that cannot be kept is said, and costs no result.
    """
    logged = Log("recipe", wanted=setting.logs).record(lambda: list(_runs(setting, recipe, rows)))
    if logged.ids:
        setting.say(f"logged: run {logged.ids[0][:8]}; topfive experiments show {logged.ids[0][:8]}")
    if logged.fault is not None:
        setting.say(f"this run is not logged: {logged.fault}")


def _runs(setting: Setting, recipe: str, rows: Sequence[Row]) -> Iterator[Run]:
    for row in rows:
        yield Run(
            model=row.model,
            params={"recipe": recipe, "seed": setting.seed, "quick": setting.quick, "data": setting.data.name},
            metrics=dict(_metrics(row)),
            tags={"data.train.sha256": setting.data.fingerprint, "data.source": setting.data.source},
        )


def _metrics(row: Row) -> Iterator[tuple[str, float]]:
    yield "minutes", row.minutes
    yield "size_ratio", row.size
    yield from zip(("top_1", "top_1_low", "top_1_high"), row.top_1, strict=True)
    if row.difference is not None:
        yield from zip(("difference", "difference_low", "difference_high"), row.difference, strict=True)
    if row.batch_8 is not None:
        yield from zip(("speed_batch_8", "speed_batch_8_low", "speed_batch_8_high"), row.batch_8, strict=True)
