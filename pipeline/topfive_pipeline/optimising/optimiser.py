"""Makes an int8 version of a model: tries, chooses, judges, proves, and writes only what keeps within the budget.

What lives here: the order of these steps. What does not: the steps themselves (the modules beside this one), flags and
screens (`commands`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import onnx

from topfive_pipeline.entry.writing import check_place, put_in_place, written_aside
from topfive_pipeline.judging import leakage
from topfive_pipeline.judging.subjects import Subject
from topfive_pipeline.optimising import calibration, curve, landing, machine, proving, sensitivity, trials
from topfive_pipeline.optimising.asked import Wanted, halves, place_of, subject_of
from topfive_pipeline.optimising.bench import Bench, Pictures, Progress, cropped
from topfive_pipeline.optimising.calibration import METHODS, Method, Ranges
from topfive_pipeline.optimising.curve import Point
from topfive_pipeline.optimising.judged import Judged, judge, why_refused
from topfive_pipeline.optimising.measuring import Speed, scores_of, speeds
from topfive_pipeline.optimising.quantising import quantised
from topfive_pipeline.optimising.source import Source, prepare
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.running import Graph
from topfive_pipeline.proof.verdict import Proof

_SENSITIVE: Final = 64
"""Photos that the sensitivity of each layer is found on."""
_PROVEN_ON: Final = 40
_TRIALS_LEAVE: Final = 0.35
_LAYERS_LEAVE: Final = 0.25
"""Shares of the time that are kept for what comes after: for the layers and the curve, and for the curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimised:
    """What was tried and chosen. `refused`: why nothing was written, and what would help; None if it was, or would be.

    `trials` are in the order in which they were made; `chosen` is one of the points of the `curve`, which is empty if
    the kind of integers did not pay. `speed` is of the chosen graph, measured again. `folders` are those it made.
    """

    name: str
    version: int
    features: tuple[str, ...]
    calibrated_on: int
    held: int
    trials: tuple[trials.Trial, ...]
    sensitive: tuple[sensitivity.Sensitivity, ...] = ()
    curve: tuple[Point, ...] = ()
    chosen: Point | None = None
    speed: dict[int, Speed] = field(default_factory=dict)
    megabytes: tuple[float, float] = (0.0, 0.0)
    judged: Judged | None = None
    proof: Proof | None = None
    refused: str | None = None
    folders: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Task:
    wanted: Wanted
    subject: Subject
    name: str
    version: int
    source: Source
    resize: Graph
    calibrating: Sequence[Photo]
    held: Pictures
    judging: Sequence[Photo]


def optimise(wanted: Wanted, photos: Sequence[Photo], *, progress: Progress) -> Optimised:
    """Quantise the model that is `wanted` for this machine.

    Raises `ConfigurationError` if it cannot be quantised or written, or the photos are too few.
    """
    progress("reading the model")
    subject = subject_of(wanted)
    name, version = place_of(wanted, subject)
    given = onnx.load(subject.classify.path)
    entry = landing.entry(subject, given, name=name, properties={}, beside=wanted.beside)
    check_place(entry, wanted.repository, version=version, replace=False)  # before it takes minutes
    source = prepare(subject.classify.path)
    assert subject.resize is not None
    resize = Graph(subject.resize.path)
    calibrating, held, judging = halves(photos)
    leakage.must_not_leak([subject], judging)  # of a network that was trained on some of them
    pictures = cropped(calibrating, resize, progress)
    until = time.monotonic() + wanted.seconds
    methods: tuple[Method, ...] = METHODS if wanted.method == "auto" else (wanted.method,)
    histograms = calibration.collect(
        source, pictures.crops, progress=lambda done, of: progress(f"calibrating, {done} of {of}")
    )
    ranges = {method: calibration.ranges(histograms, method) for method in methods}
    held_pictures = cropped(held, resize, progress)
    progress("the original's scores")
    reference = scores_of(source.model, source.scores, held_pictures.crops)
    bench = Bench(source, held_pictures, reference, until, progress)
    task = _Task(wanted, subject, name, version, source, resize, calibrating, held_pictures, judging)
    tried, best = _tried(bench, ranges, methods, wanted)
    told = Optimised(
        name=name,
        version=version,
        features=machine.features(),
        calibrated_on=len(calibrating),
        held=len(held),
        trials=tuple(tried),
    )
    if best.pace < trials.PAYS:
        return _with(told, bench, refused=_does_not_pay(f"the best that was tried, {best.title},", best.speed))
    sensitive = _sensitive(bench, ranges, best, wanted)
    points = curve.measure(bench, ranges, best, curve.mixtures(sensitive, len(source.layers)))
    chosen = curve.knee(points, budget=wanted.budget / 100, pays=trials.PAYS)
    told = _with(told, bench, sensitive=tuple(sensitive), curve=tuple(points), chosen=chosen)
    return _finish(task, told, quantised(source, ranges[chosen.trial.recipe.method], chosen.trial.recipe), bench)


def _tried(
    bench: Bench, ranges: dict[Method, Ranges], methods: Sequence[Method], wanted: Wanted
) -> tuple[list[trials.Trial], trials.Trial]:
    """All trials in order, those that were overtaken with their verdicts; and the best."""
    best, *tried = trials.choose_kind(bench, ranges, machine.kinds(machine.features()), methods[0])
    if best.pace < trials.PAYS:  # nothing else makes a graph much faster, but for what is between its layers
        best, *others = trials.choose_scope(bench, ranges, best)
        return [*tried, *others, best], best
    if len(methods) > 1:
        best, *others = trials.choose_method(bench, ranges, best, methods[1:])
        tried += others
    if bench.share_left(_TRIALS_LEAVE, of=wanted.seconds):
        best, *others = trials.choose_scope(bench, ranges, best)
        tried += others
    else:
        bench.warnings.append("the time was not enough to try what is between the layers (--time)")
    return [*tried, best], best


def _sensitive(
    bench: Bench, ranges: dict[Method, Ranges], best: trials.Trial, wanted: Wanted
) -> list[sensitivity.Sensitivity]:
    few = bench.held.first(_SENSITIVE)
    return sensitivity.sensitivities(
        bench,
        ranges[best.recipe.method],
        best.recipe,
        (few, bench.reference[: len(few.crops)]),
        may_go_on=lambda: bench.share_left(_LAYERS_LEAVE, of=wanted.seconds),
    )


def _finish(task: _Task, told: Optimised, model: Any, bench: Bench) -> Optimised:
    """Judge the chosen `model`, prove it, and write it."""
    wanted, source, progress = task.wanted, task.source, bench.progress
    pictures = cropped(task.judging, task.resize, progress)
    progress("judging on photos that had no part in choosing")
    judged = judge(
        pictures,
        scores_of(model, source.scores, pictures.crops),
        scores_of(source.model, source.scores, pictures.crops),
        budget=wanted.budget / 100,
    )
    progress("measuring the speed of what was chosen")
    _, speed = speeds([onnx.load(source.path), model], pictures.crops[0], rounds=15)
    told = _with(
        told,
        bench,
        judged=judged,
        speed=speed,
        megabytes=(task.subject.classify.size_bytes / 1e6, model.ByteSize() / 1e6),
        refused=why_refused(judged, budget=wanted.budget / 100),
    )
    if trials.pace(speed) < trials.PAYS:
        told = _with(told, bench, refused=_does_not_pay("what was chosen", speed))
    if told.refused is not None:
        return told
    properties = landing.properties(task.source, told, task.calibrating)
    properties |= leakage.properties({"calibrate": task.calibrating, "choose": task.held.photos})
    if not wanted.dry_run:
        properties |= wanted.link(f"{task.name}:{task.version}")
    entry = landing.entry(task.subject, model, name=task.name, properties=properties, beside=wanted.beside)
    check_place(entry, wanted.repository, version=task.version, replace=False)
    with TemporaryDirectory() as elsewhere:
        place = Path(elsewhere) / "repository" if wanted.dry_run else wanted.repository
        with written_aside(entry, place, version=task.version) as aside:
            proof = proving.prove(
                landing.written(aside, entry, task.version),
                landing.original(task.subject),
                pictures.first(_PROVEN_ON),
                progress=progress,
            )
            made: list[Path] = []
            if proof.failure is None and not wanted.dry_run:
                made = put_in_place(aside, wanted.repository, name=task.name, version=task.version, replace=False)
    refused = None if proof.failure is None else f"the proof failed at the step '{proof.failure.step}'"
    return _with(told, bench, proof=proof, folders=tuple(made), refused=refused)


def _does_not_pay(title: str, speed: Mapping[int, Speed]) -> str:
    ratios = ", ".join(f"{each} at batch {batch}" for batch, each in speed.items())
    return (
        f"int8 does not pay for this network on this machine: {title} is {ratios} as fast "
        f"as floating point, and {trials.PAYS:g} is the least; another engine or another processor may help"
    )


def _with(told: Optimised, bench: Bench, **changes: Any) -> Optimised:
    return replace(told, warnings=tuple(bench.warnings), **changes)
