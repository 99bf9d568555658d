"""What `topfive optimise` shows of an optimisation: tables on the terminal, or one JSON document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from topfive_pipeline.commands.screen import Screen
from topfive_pipeline.optimising.curve import Point
from topfive_pipeline.optimising.judged import Judged
from topfive_pipeline.optimising.measuring import Speed
from topfive_pipeline.optimising.optimiser import Optimised
from topfive_pipeline.optimising.trials import Trial


def show(done: Optimised, screen: Screen, *, budget: float) -> None:
    """The tables: what was tried, the curve, the verdict of photos that had no part in choosing, and the proof."""
    cpu = ", ".join(done.features) or "no instructions for dot products of bytes"
    screen.say(f"This processor has {cpu}. {done.calibrated_on} photos calibrate, {done.held} compare trials:")
    screen.say("dB is the SQNR of the scores, same the share of photos with the same first label.\n")
    screen.table(
        "What was tried, how many times as fast as floating point on one thread (quartiles)",
        ("", "batch 1", "batch 8", "dB", "same", ""),
        [_row(trial) for trial in done.trials],
    )
    if done.curve:
        screen.say("")
        screen.table(
            "The most sensitive layers in floating point",
            ("layers", "batch 1", "batch 8", "dB", "same", "loss", ""),
            [_point_row(point, chosen=point is done.chosen) for point in done.curve],
        )
        best = ", ".join(f"{each.layer} {each.gain:+.1f} dB" for each in done.sensitive[:3])
        screen.say(f"\nMost sensitive: {best or 'no layer'}")
    if done.judged is not None:
        screen.say("")
        for line in verdict(done.judged, budget=budget):
            screen.say(line)
        ratios = "; ".join(f"batch {batch}: {speed}" for batch, speed in done.speed.items())
        before, after = done.megabytes
        screen.say(f"Chosen, measured again: {ratios}; {after:.1f} MB for {before:.1f}")
    for warning in done.warnings:
        screen.warn(warning)
    if done.proof is not None:
        screen.proof(done.proof)


def verdict(judged: Judged, *, budget: float) -> list[str]:
    """What the judging photos say, in sentences."""
    far = judged.distance
    first = (
        f"On {judged.photos} photos that had no part in choosing: the same first label on {far.agreement:.1%}, "
        f"{far.sqnr:.1f} dB, largest change of a probability {far.largest:.3f}"
    )
    if judged.loss is None or judged.interval is None or judged.before is None or judged.after is None:
        most = (1 - far.agreement) * 100
        return [first, f"They have no labels, so the loss is unknown: at most {most:.1f} points, and likely less"]
    low, high = judged.interval.low * 100, judged.interval.high * 100
    second = (
        f"Top-1 {judged.before:.1%} before, {judged.after:.1%} after: loss {judged.loss * 100:+.1f} points "
        f"({low:+.1f} to {high:+.1f} at 95 %; {judged.lost} photos lost, {judged.won} won)"
    )
    lines = [first, second]
    if low <= budget <= high:
        needed = "no number of photos" if judged.decides is None else f"some {judged.decides} photos like these"
        lines.append(f"Whether it is within {budget:g} points is not sure yet: {needed} would tell")
    return lines


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
        "speed": _speeds(done.speed),
        "megabytes": dict(zip(("before", "after"), done.megabytes, strict=True)),
        "judged": None if done.judged is None else asdict(done.judged),
        "proof": None if done.proof is None else done.proof.as_json(),
        "warnings": done.warnings,
        "written": [str(folder) for folder in done.folders],
    }


def _row(trial: Trial) -> tuple[str, ...]:
    far = trial.distance
    return (
        trial.title + ("" if trial.recipe.folds_pixels else ", bytes normalised"),
        *(_short(speed) for speed in trial.speed.values()),
        f"{far.sqnr:.1f}",
        f"{far.agreement:.1%}",
        trial.verdict or "← best",
    )


def _point_row(point: Point, *, chosen: bool) -> tuple[str, ...]:
    far = point.trial.distance
    return (
        str(point.floats),
        *(_short(speed) for speed in point.trial.speed.values()),
        f"{far.sqnr:.1f}",
        f"{far.agreement:.1%}",
        "" if point.loss is None else f"{point.loss * 100:+.1f} points",
        "← chosen" if chosen else "",
    )


def _short(speed: Speed) -> str:
    return f"{speed.ratio:.2f} ({speed.low:.2f}–{speed.high:.2f})"


def _trial(trial: Trial) -> dict[str, Any]:
    recipe = trial.recipe
    return {
        "kind": recipe.kind.name,
        "calibration": recipe.method,
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
