"""What `topfive optimise` shows of an optimisation: tables on the terminal, or one JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from topfive_pipeline.commands.screen import Screen
from topfive_pipeline.optimising.candidates import Candidate
from topfive_pipeline.optimising.curve import Point
from topfive_pipeline.optimising.measuring import Speed
from topfive_pipeline.optimising.results import Optimised
from topfive_pipeline.optimising.telling import sections
from topfive_pipeline.optimising.trials import Trial


def show(done: Optimised, screen: Screen, *, budget: float) -> None:
    """The tables: what was tried, the curve, the accuracy of each graph, the verdict, and the proof."""
    for section in sections(done, budget=budget):
        if section.lead:
            screen.say(f"{section.lead}\n")
        for table in section.tables:
            screen.table(section.title, table.columns, table.rows)
            screen.say("")
        for note in section.notes:
            screen.say(note)
    for warning in done.warnings:
        screen.warn(warning)
    if done.proof is not None:
        screen.proof(done.proof)


def document(done: Optimised) -> dict[str, Any]:
    """The same for programs."""
    return {
        "name": done.name,
        "version": done.version,
        "refused": done.refused,
        "cpu": done.features,
        "photos": {"calibrating": done.calibrated_on, "comparing": done.held},
        "tried": [_trial(trial) for trial in done.trials],
        "sensitivity": [
            {"layer": each.layer, "unit": sorted(each.unit), "gain_db": each.gain} for each in done.sensitive
        ],
        "curve": [_point(point, chosen=point is done.chosen) for point in done.curve],
        "graphs": [
            {
                "title": row.title,
                "megabytes": row.megabytes,
                "speed": _speeds(row.speed),
                **asdict(row.judged),
                "relative": row.judged.relative,
            }
            for row in done.rows
        ],
        "speed": _speeds(done.speed),
        "megabytes": dict(zip(("before", "after"), done.megabytes, strict=True)),
        "judged": None if done.judged is None else asdict(done.judged),
        "recipe": None if done.recipe is None else asdict(done.recipe),
        "outcome": done.outcome,
        "candidates": [_candidate(each) for each in done.candidates],
        "proof": None if done.proof is None else done.proof.as_json(),
        "warnings": done.warnings,
        "written": [str(folder) for folder in done.folders],
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "way": str(candidate.way),
        "verdict": candidate.verdict,
        "judged": asdict(candidate.judged),
        "recipe": None if candidate.recipe is None else asdict(candidate.recipe),
        "paces": [asdict(pace) for pace in candidate.paces],
        "footprint": asdict(candidate.footprint),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    recipe = trial.recipe
    return {
        "kind": recipe.kind.name,
        "calibration": recipe.method,
        "rounding": recipe.rounding,
        "scope": recipe.scope,
        "folds_pixels": recipe.folds_pixels,
        "floats": sorted(recipe.floats),
        "speed": _speeds(trial.speed),
        **asdict(trial.distance),
        "megabytes": trial.megabytes,
        "verdict": trial.verdict or "best",
    }


def _point(point: Point, *, chosen: bool) -> dict[str, Any]:
    return {"layers_in_float": point.floats, "loss": point.loss, "chosen": chosen, **_trial(point.trial)}


def _speeds(speed: Mapping[int, Speed]) -> dict[str, dict[str, float]]:
    return {f"batch {batch}": asdict(each) for batch, each in speed.items()}
