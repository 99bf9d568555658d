"""The one table: a row for each model that a recipe made, with what it gained and lost, and how sure that is."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

Difficulty = Literal["a line", "an afternoon", "training"]
"""What it takes: a line of code or a flag; code for this kind of network; data and training."""
_POINTS: Final = 100
_HEAD: Final = (
    "recipe", "model", "top-1, %", "points", "loss, nats", "size ÷", "alone ×", "batch 8 ×", "difficulty", "minutes",
    "note",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model beside the one that its recipe began with, on the same `photos` pictures and in the same rounds.

    `top_1`: a share with its interval of 95 %. `difference`: of top-1, paired, likewise. `agreement`: of first labels.
    `change`: the largest |Δp|. `loss`: the difference in nats, and its standard error. `size`: how many times as small.
    `alone`, `batch_8`: how many times as fast, the median of the rounds and their middle half. `minutes`: of the whole
    recipe. What compares is None for the model that it began with.
    """

    recipe: str
    model: str
    top_1: tuple[float, float, float]
    difference: tuple[float, float, float] | None
    agreement: float | None
    change: float | None
    loss: tuple[float, float] | None
    size: float
    alone: tuple[float, float, float] | None
    batch_8: tuple[float, float, float] | None
    photos: int
    difficulty: Difficulty
    minutes: float = 0.0
    note: str = ""


def rows_of(
    recipe: str,
    judgement: Mapping[str, Any],
    difficulty: Mapping[str, Difficulty],
    notes: Mapping[str, str] | None = None,
) -> list[Row]:
    """The rows of a recipe by what `topfive evaluate` found; `difficulty` and `notes` by the names of models."""
    models = judgement["models"]
    began = models[0]["footprint"]["size_bytes"]
    return [_row(recipe, each, began, judgement["photos"], difficulty, notes or {}) for each in models]


def _row(
    recipe: str,
    judged: Mapping[str, Any],
    size: int,
    photos: int,
    difficulty: Mapping[str, Difficulty],
    notes: Mapping[str, str],
) -> Row:
    name = str(judged["title"]).partition(":")[0]
    difference = judged["difference"]
    right = judged["accuracy"]["top_1"]
    compared = difference is not None
    return Row(
        recipe=recipe,
        model=name,
        top_1=_with_interval(right["share"], right["interval"]),
        difference=_with_interval(difference["top_1"], difference["interval"]) if compared else None,
        agreement=difference["agreement"] if compared else None,
        change=difference["largest_change"] if compared else None,
        loss=(difference["loss"], difference["loss_error"]) if compared else None,
        size=size / judged["footprint"]["size_bytes"],
        alone=_ratio(judged["paces"], "alone") if compared else None,
        batch_8=_ratio(judged["paces"], "batch 8") if compared else None,
        photos=photos,
        difficulty=difficulty.get(name, "a line"),
        note=notes.get(name, ""),
    )


def _with_interval(value: float, interval: Mapping[str, float]) -> tuple[float, float, float]:
    return value, interval["low"], interval["high"]


def _ratio(paces: Sequence[Mapping[str, Any]], case: str) -> tuple[float, float, float] | None:
    for pace in paces:
        if pace["case"] == case:
            return pace["ratio"]["median"], pace["ratio"]["low"], pace["ratio"]["high"]
    return None


def store(rows: Sequence[Row], folder: Path, recipe: str) -> None:
    """Keep the `rows` of a recipe as JSON in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{recipe}.json").write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")


def stored(folder: Path, recipes: Iterable[str]) -> list[Row]:
    """The rows of those `recipes` that were run, in this order."""
    files = [folder / f"{recipe}.json" for recipe in recipes]
    return [Row(**row) for file in files if file.is_file() for row in json.loads(file.read_bytes())]


def markdown(rows: Sequence[Row]) -> str:
    """`rows` as a table."""
    lines = [_HEAD, tuple("---" for _ in _HEAD), *map(_cells, rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.recipe,
        row.model,
        _spread(row.top_1, ".1f", _POINTS),
        _spread(row.difference, "+.2f", _POINTS),
        "–" if row.loss is None else f"{row.loss[0]:+.3f} ± {row.loss[1]:.3f}",
        f"{row.size:.2f}",
        _spread(row.alone, ".2f"),
        _spread(row.batch_8, ".2f"),
        row.difficulty,
        f"{row.minutes:.1f}",
        row.note,
    )


def _spread(values: Sequence[float] | None, form: str, by: float = 1) -> str:
    if values is None:
        return "–"
    middle, low, high = (format(by * value, form) for value in values)
    return f"{middle} [{low}, {high}]"
