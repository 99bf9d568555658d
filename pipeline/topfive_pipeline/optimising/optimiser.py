"""Makes an int8 version of a model: tries, chooses, judges, proves, and writes only what keeps within the budget.

What lives here: the order of these steps. What does not: the steps themselves (the modules beside this one), flags and
screens (`commands`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import onnx

from topfive.machine.cpu_features import dot_products_of_bytes
from topfive_pipeline.entry.writing import check_place, put_in_place, written_aside
from topfive_pipeline.judging import leakage
from topfive_pipeline.judging.subjects import Subject
from topfive_pipeline.judging.ways import Way
from topfive_pipeline.optimising import candidates, curve, landing, machine, proving, sensitivity, trials
from topfive_pipeline.optimising.asked import Wanted, check_engines, halves, place_of, subject_of
from topfive_pipeline.optimising.bench import Bench, Pictures, Progress, Scores, cropped
from topfive_pipeline.optimising.calibrated import calibrate
from topfive_pipeline.optimising.calibration import METHODS, Method
from topfive_pipeline.optimising.comparison import compare
from topfive_pipeline.optimising.crossing import Half, judge_both, second_graph
from topfive_pipeline.optimising.judged import outcome, why_refused
from topfive_pipeline.optimising.measuring import Speed, scores_of
from topfive_pipeline.optimising.results import Optimised
from topfive_pipeline.optimising.source import Source, prepare
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.running import Graph

_SENSITIVE: Final = 64
"""Photos that the sensitivity of each layer is found on."""
_PROVEN_ON: Final = 40
_TRIALS_LEAVE: Final = 0.35
_LAYERS_LEAVE: Final = 0.25
"""Shares of the time that are kept for what comes after: for the layers and the curve, and for the curve."""


@dataclass(frozen=True, slots=True)
class _Task:
    wanted: Wanted
    subject: Subject
    name: str
    version: int
    source: Source
    resize: Graph
    calibrating: Pictures
    held: Pictures
    judging: Sequence[Photo]


def optimise(wanted: Wanted, photos: Sequence[Photo], *, progress: Progress) -> Optimised:
    """Quantise the model that is `wanted` for this machine.

    Raises `ConfigurationError` if it cannot be quantised or written, or the photos are too few.
    """
    progress("reading the model")
    subject = subject_of(wanted)
    check_engines(wanted)
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
    features = dot_products_of_bytes()
    kinds = machine.kinds(features)
    calibrated = calibrate(source, pictures.crops, methods=methods, kinds=kinds, progress=progress)
    held_pictures = cropped(held, resize, progress)
    progress("the original's scores")
    reference = scores_of(source.model, source.scores, held_pictures.crops)
    bench = Bench(source, calibrated, held_pictures, reference, until, progress)
    task = _Task(wanted, subject, name, version, source, resize, pictures, held_pictures, judging)
    tried, best = _tried(bench, kinds, methods, wanted)
    told = Optimised(
        name=name,
        version=version,
        features=features,
        calibrated_on=len(calibrating),
        held=len(held),
        trials=tuple(tried),
    )
    if best.pace < trials.PAYS:
        return _without_int8(task, told, bench, best)
    sensitive = _sensitive(bench, best, wanted) if "mixed" in wanted.precisions else []
    points = curve.measure(bench, best, curve.mixtures(sensitive, len(source.layers)))
    chosen = curve.knee(points, budget=wanted.budget / 100, pays=trials.PAYS)
    told = _with(told, bench, sensitive=tuple(sensitive), curve=tuple(points), chosen=chosen)
    return _finish(task, told, bench.quantised(chosen.trial.recipe), bench)


def _tried(
    bench: Bench, kinds: Sequence[machine.Kind], methods: Sequence[Method], wanted: Wanted
) -> tuple[list[trials.Trial], trials.Trial]:
    """All trials in order, those that were overtaken with their verdicts; and the best."""
    best, *tried = trials.choose_kind(bench, kinds, methods[0])
    if best.pace < trials.PAYS:  # nothing else makes a graph much faster, but for what is between its layers
        best, *others = trials.choose_scope(bench, best)
        return [*tried, *others, best], best
    best, *others = trials.choose_method(bench, best, methods[1:])
    tried += others
    if bench.share_left(_TRIALS_LEAVE, of=wanted.seconds):
        best, *others = trials.choose_scope(bench, best)
        tried += others
    else:
        bench.warnings.append("the time was not enough to try what is between the layers (--time)")
    return [*tried, best], best


def _sensitive(bench: Bench, best: trials.Trial, wanted: Wanted) -> list[sensitivity.Sensitivity]:
    few = bench.held.first(_SENSITIVE)
    return sensitivity.sensitivities(
        bench,
        best.recipe,
        (few, bench.reference[: len(few.crops)]),
        may_go_on=lambda: bench.share_left(_LAYERS_LEAVE, of=wanted.seconds),
    )


def _finish(task: _Task, told: Optimised, model: Any, bench: Bench) -> Optimised:
    """Judge the chosen `model`, alone or beside other engines, and land what is best."""
    assert told.chosen is not None
    wanted, progress, source = task.wanted, bench.progress, task.source
    budget, recipe = wanted.budget / 100, told.chosen.trial.recipe
    judging = _half(task, task.judging, progress)
    progress("judging on photos that had no part in choosing")
    scores = scores_of(model, source.scores, judging[0].crops)
    original = onnx.load(source.path), task.subject.classify.size_bytes / 1e6
    rows = compare(bench, (recipe, model, scores), judging[0], original, budget=budget)
    speed, judged = dict(rows[-1].speed), rows[-1].judged
    other = _other_half(task, judging[0])
    second, whole = None, None
    if other is not None:
        second = second_graph(source, recipe, judging[0], most=told.calibrated_on, progress=progress)
        own = scores_of(second, source.scores, other[0].crops)
        whole = judge_both(Half(judging[0], scores, judging[1]), Half(other[0], own, other[1]), budget=budget)
    told = _with(
        told,
        bench,
        rows=rows,
        judged=judged,
        recipe=whole,
        outcome=outcome(whole or judged, budget=budget),
        speed=speed,
        megabytes=(rows[0].megabytes, rows[-1].megabytes),
        refused=why_refused(whole or judged, budget=budget, accepts_undecided=wanted.accepts_undecided),
    )
    if wanted.compares_candidates:
        graphs = candidates.Graphs(source=source, int8=(model, second), judging=judging, calibrating=other)
        return _best_of(task, told, bench, graphs)
    if trials.pace(speed) < trials.PAYS:
        told = _with(told, bench, refused=_does_not_pay("what was chosen", speed))
    return told if told.refused is not None else _land(task, told, bench, judging[0], model, None)


def _without_int8(task: _Task, told: Optimised, bench: Bench, best: trials.Trial) -> Optimised:
    """Other engines, if they are wanted; int8 is no candidate."""
    told = _with(told, bench, refused=_does_not_pay(f"the best that was tried, {best.title},", best.speed))
    if not task.wanted.compares_candidates:
        return told
    judging = _half(task, task.judging, bench.progress)
    other = _other_half(task, judging[0])
    return _best_of(
        task, told, bench, candidates.Graphs(source=task.source, int8=None, judging=judging, calibrating=other)
    )


def _best_of(task: _Task, told: Optimised, bench: Bench, graphs: candidates.Graphs) -> Optimised:
    """Land the fastest candidate that is allowed."""
    ways, left_out = candidates.ways(task.wanted, has_int8=graphs.int8 is not None)
    bench.warnings.extend(left_out)
    found = candidates.measure(task.subject, graphs, ways, budget=task.wanted.budget / 100, progress=bench.progress)
    ranked = candidates.choose(found, task.wanted)
    told = _with(told, bench, candidates=(found[0], *ranked))
    if not ranked or ranked[0].verdict:
        why = "; ".join(f"{each.way} {each.verdict}" for each in ranked) or told.refused or "nothing was left"
        return _with(told, bench, refused=f"no graph on any engine is faster and within what is allowed: {why}")
    best = ranked[0]
    judged = best.recipe or best.judged
    told = _with(
        told,
        bench,
        refused=None,
        judged=best.judged,
        recipe=best.recipe,
        outcome=outcome(judged, budget=task.wanted.budget / 100),
    )
    model = graphs.int8[0] if best.way.numbers == "int8" and graphs.int8 is not None else onnx.load(task.source.path)
    return _land(task, told, bench, graphs.judging[0], model, best.way)


def _half(task: _Task, photos: Sequence[Photo], progress: Progress) -> tuple[Pictures, Scores]:
    """The pictures of `photos`, and the source's scores of them."""
    pictures = cropped(photos, task.resize, progress)
    return pictures, scores_of(task.source.model, task.source.scores, pictures.crops)


def _other_half(task: _Task, judging: Pictures) -> tuple[Pictures, Scores] | None:
    """The pictures that calibrated, if the recipe is to be judged on them too; without labels it is not worth it."""
    if not task.wanted.crosses or task.calibrating.labels is None or judging.labels is None:
        return None
    return task.calibrating, scores_of(task.source.model, task.source.scores, task.calibrating.crops)


def _land(task: _Task, told: Optimised, bench: Bench, pictures: Pictures, model: Any, way: Way | None) -> Optimised:
    """Prove `model`, on the engine of `way`, and write it."""
    wanted, progress = task.wanted, bench.progress
    properties = landing.properties(task.source, told, task.calibrating.photos)
    properties |= leakage.properties({"calibrate": task.calibrating.photos, "choose": task.held.photos})
    if not wanted.dry_run:
        properties |= wanted.link(f"{task.name}:{task.version}")
    entry = landing.entry(task.subject, model, name=task.name, properties=properties, beside=wanted.beside, way=way)
    check_place(entry, wanted.repository, version=task.version, replace=False)
    with TemporaryDirectory() as elsewhere:
        place = Path(elsewhere) / "repository" if wanted.dry_run else wanted.repository
        with written_aside(entry, place, version=task.version) as aside:
            proof = proving.prove(
                landing.written(aside, entry, task.version, way=way),
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
