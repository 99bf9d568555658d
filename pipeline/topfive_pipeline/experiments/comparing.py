"""Puts runs beside each other: what differs in what was asked, run with and found, and what cannot be compared."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from topfive_pipeline.experiments.origin import COMMIT
from topfive_pipeline.experiments.runs import COMMAND, MODEL, Stored

_SPEEDS: Final = ("ms_", "load_s")
_OF_PHOTOS: Final = frozenset({"top_1", "top_5", "loss", "difference", "agreement"})
_MACHINE: Final = ("cpu", "cpu.cores", "cpu.features")
_OF_MLFLOW: Final = "mlflow."
_OF_EVERY_RUN: Final = frozenset({MODEL, COMMAND})
_MISSING: Final = "–"
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """What one thing was in each of the runs."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between runs, and `doubts`: what of it cannot be compared, and why."""

    runs: tuple[Stored, ...]
    params: tuple[Row, ...]
    metrics: tuple[Row, ...]
    tags: tuple[Row, ...]
    doubts: tuple[str, ...]


def compare(runs: Sequence[Stored]) -> Comparison:
    """Compare at least two `runs`: the rows in which they differ, and every metric."""
    return Comparison(
        runs=tuple(runs),
        params=tuple(_different(_rows([run.params for run in runs]))),
        metrics=tuple(_rows([{name: figure(value) for name, value in run.metrics.items()} for run in runs])),
        tags=tuple(_different(_rows([run_with(run) for run in runs]))),
        doubts=tuple(_doubts(runs)),
    )


def run_with(run: Stored) -> dict[str, str]:
    """What a run was run with, without what MLflow adds for itself and what stands above every run."""
    own = {name: value for name, value in run.tags.items() if not name.startswith(_OF_MLFLOW)}
    commit = {"git.commit": run.tags[COMMIT]} if COMMIT in run.tags else {}
    return {name: value for name, value in (own | commit).items() if name not in _OF_EVERY_RUN}


def shortened(value: str) -> str:
    """A value as people read it: of a SHA-256 the beginning."""
    return f"{value[:_DIGITS]}…" if _DIGEST.fullmatch(value) else value


def figure(value: float) -> str:
    """A metric as people read it."""
    return f"{value:.4g}"


def _rows(records: Sequence[Mapping[str, str]]) -> Iterator[Row]:
    for name in sorted({name for record in records for name in record}):
        yield Row(name, tuple(record.get(name, _MISSING) for record in records))


def _different(rows: Iterator[Row]) -> Iterator[Row]:
    return (row for row in rows if len(set(row.values)) > 1)


def _doubts(runs: Sequence[Stored]) -> Iterator[str]:
    judging = [run for run in runs if not _OF_PHOTOS.isdisjoint(run.metrics)]
    judged = [run for run in judging if run.data]
    if len({run.data for run in judged}) > 1:
        groups = _groups(judged, lambda run: run.data)
        yield (
            f"these runs are of different photos ({groups}), so their accuracies cannot be compared; evaluate the "
            "models together on the same photos"
        )
    if 0 < len(judged) < len(judging):
        unjudged = ", ".join(run.short for run in judging if not run.data)
        yield f"no photos are recorded of {unjudged}, so nothing says that the figures are of the same ones"
    timed = [run for run in runs if any(name.startswith(_SPEEDS) for name in run.metrics)]
    if len({tuple(run.tags.get(name, "") for name in _MACHINE) for run in timed}) > 1:
        yield "they were timed on different processors or cores, so times cannot be compared, and ratios only with care"


def _groups(runs: Sequence[Stored], key: Callable[[Stored], str]) -> str:
    """Which runs have the same `key`: `1a2b: run, run; 3c4d: run`."""
    groups: dict[str, list[str]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run.short)
    return "; ".join(f"{name[:8]}: {', '.join(members)}" for name, members in groups.items())
