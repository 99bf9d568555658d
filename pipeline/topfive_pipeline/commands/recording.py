"""What each command records of its run (`topfive_pipeline.experiments`), and the line that says what became of it."""

from __future__ import annotations

import functools
import html
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from typer import Option

from topfive.repository.misplaced import CONFIG
from topfive_pipeline.checker import Checked
from topfive_pipeline.commands import optimised
from topfive_pipeline.commands.screen import Screen
from topfive_pipeline.entry.names import classify_name, graph_path, resize_name
from topfive_pipeline.entry.provenance import sha256
from topfive_pipeline.entry.writing import versions
from topfive_pipeline.experiments import figures
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.experiments.runs import (
    DATA,
    DATA_FOLDER,
    GRAPHS,
    REFUSED,
    RESIZE_GRAPH,
    Run,
    discreet,
    without_folders,
)
from topfive_pipeline.experiments.tracking import INSTALL
from topfive_pipeline.importer import Plan
from topfive_pipeline.judging import reports
from topfive_pipeline.judging.judge import Judgement
from topfive_pipeline.judging.limits import Choice
from topfive_pipeline.judging.split import in_part
from topfive_pipeline.judging.subjects import Part, Subject
from topfive_pipeline.optimising.results import Optimised
from topfive_pipeline.profiling.profile import Profile
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.verdict import Proof
from topfive_pipeline.tuning.tuned import Tuned

NoLog = Annotated[bool, Option("--no-log", help="Keep no record of this run (topfive experiments).")]
LogGraphs = Annotated[bool, Option("--log-graphs", help="Keep the graphs themselves in the record too.")]

Params = Mapping[str, object]


def finish(log: Log, screen: Screen, make: Callable[[], Sequence[Run]]) -> None:
    """Record the runs that `make` returns, and say what became of it: the result has been shown already, and stands."""
    logged = log.record(make)
    if logged.ids:
        more = f" and {len(logged.ids) - 1} below it" if len(logged.ids) > 1 else ""
        screen.say(f"\n[dim]logged: run {logged.ids[0][:8]}{more}; topfive experiments show {logged.ids[0][:8]}[/]")
    if logged.fault is not None:
        sys.stderr.write(f"topfive {log.command}: this run is not logged: {logged.fault}, or say --no-log\n")
    if logged.is_missing:
        screen.say(f"\n[dim]not logged: {INSTALL.replace('[', chr(92) + '[')} keeps a record of runs (or --no-log)[/]")


def of_judgement(
    judgement: Judgement, subjects: Sequence[Subject], photos: Path, params: Params, report: Path | None
) -> Iterator[Run]:
    """A run for each model; the first, which the others are compared with, has the report of all."""
    for place, (judged, subject) in enumerate(zip(judgement.models, subjects, strict=True)):
        yield Run(
            model=without_folders(judged.title),
            params=params,
            metrics=figures.of_model(judged),
            tags={
                **_sums(subject.classify, subject.resize),
                DATA: judgement.fingerprint,
                "data.photos": str(judgement.photos),
                "data.part": judgement.part,
                DATA_FOLDER: photos.name,
                "compared.with": without_folders(judgement.models[0].title),
                "engine": judged.engine,
                "precision": judged.numbers,
            },
            texts=_report(judgement, report) if place == 0 else {},
            files=_config(subject.classify),
        )


def of_optimised(
    done: Optimised, photos: Sequence[Photo], repository: Path, params: Params, plot: Path | None, *, graphs: bool
) -> Run:
    """The run of an optimisation, whether anything came of it or not."""
    tags = figures.of_photos(in_part(photos, "judge"), given=photos)
    tags[DATA_FOLDER] = discreet(params["photos"]) or ""
    if done.refused is not None:
        tags[REFUSED] = done.refused
    document = optimised.document(done) | {"written": [folder.name for folder in done.folders]}
    return Run(
        model=f"{done.name}:{done.version}",
        params={**params, **_recipe(done)},
        metrics=dict(_of_optimised(done)),
        tags=tags | _sums_of_written(repository, done.name, done.version, done.folders),
        texts={"optimised.json": json.dumps(document, indent=2, default=str)},
        files={
            **_files(repository, done.name, done.version, done.folders, graphs=graphs),
            **({plot.name: plot} if plot is not None and plot.is_file() else {}),
        },
    )


def of_written(
    name: str,
    version: int,
    proof: Proof,
    folders: Sequence[Path],
    repository: Path,
    params: Params,
    *,
    photos: Sequence[Photo] = (),
    graphs: bool,
) -> Run:
    """The run of an import or an export: what it was proven to be; nothing is in `folders` if that failed."""
    refused = {} if proof.failure is None else {REFUSED: f"the proof failed at the step '{proof.failure.step}'"}
    return Run(
        model=f"{name}:{version}",
        params=params,
        metrics=proof.figures,
        tags={**refused, **figures.of_photos(photos), **_sums_of_written(repository, name, version, folders)},
        texts={"proof.json": json.dumps(proof.as_json(), indent=2, default=str)},
        files=_files(repository, name, version, folders, graphs=graphs),
    )


def of_plan(planned: Plan) -> dict[str, object]:
    """The parameters of an import: what its graphs do, whoever said it."""
    wanted = planned.wanted
    return {
        **{f"preprocessing.{name}": choice.value for name, choice in planned.resolved.choices.items()},
        "layout": planned.network.layout,
        "output": planned.output.name,
        "scores": planned.scores,
        "top": wanted.top,
        "threshold": wanted.threshold,
        "embedding": wanted.embedding,
        "source": wanted.source,
        "licence": wanted.licence,
    }


def of_checks(checked: Sequence[Checked], photos: Sequence[Photo], params: Params) -> Iterator[Run]:
    """A run for each model of a repository, and what holds for all of it."""
    for each in checked:
        tags = figures.of_photos(photos)
        if each.graph is not None:
            tags[GRAPHS] = sha256(each.graph)
        if each.proof.failure is not None:
            tags[REFUSED] = each.proof.failure.said
        yield Run(
            model=each.name if each.graph is None else f"{each.name}:{each.graph.parent.name}",
            params=params,
            metrics=each.proof.figures,
            tags=tags,
            texts={"proof.json": json.dumps({**each.proof.as_json(), "warnings": each.warnings}, indent=2)},
        )


def of_tuned(told: Tuned, params: Params) -> Run:
    """The run of a tuning, whether anything is better or not: figures of what is best, beside what was."""
    best = told.chosen or told.current
    found = {
        "rate": best.rate,
        "capacity": best.capacity,
        "rate_before": told.current.rate,
        "agreement": best.agreement,
    }
    if told.final is not None and math.isfinite(told.final.median):
        found["speed_tuned"] = told.final.median
    graph, config = Path(told.graph), Path(told.config)
    return Run(
        model=f"{told.name}:{graph.parent.name}",
        params={**params, "chosen": best.setting.title, "verdict": told.verdict, "written": told.written},
        metrics={name: value for name, value in found.items() if value is not None},
        tags={GRAPHS: sha256(graph)} | ({REFUSED: "the objective holds at no rate"} if told.verdict == "unmet" else {}),
        texts={"tuning.json": json.dumps(told.to_dict() | {"config": config.name, "graph": graph.name}, indent=2)},
        files={CONFIG: config},
    )


def of_profile(told: Profile, params: Params) -> Run:
    """The run of a profile: where an average request's time went, and what was named as the bottleneck."""
    stages = told.evidence.stages
    times = {} if stages is None else {f"{stage}_seconds": seconds for stage, seconds in stages.seconds.items()}
    return Run(
        model=told.name,
        params=params,
        metrics=times | ({} if stages is None else {"rate": stages.rate}),
        tags={"bottleneck": told.findings[0].key},
        texts={"profile.json": json.dumps(told.to_dict(), indent=2)},
    )


def _of_optimised(done: Optimised) -> Iterator[tuple[str, float]]:
    for batch, speed in done.speed.items():
        yield f"speed_batch_{batch}", speed.ratio
        yield f"speed_batch_{batch}_low", speed.low
        yield f"speed_batch_{batch}_high", speed.high
    if done.judged is None:
        return
    yield "size_mb", done.megabytes[1]
    yield "agreement", done.judged.distance.agreement
    yield "largest_change", done.judged.distance.largest
    yield "sqnr_db", done.judged.distance.sqnr
    if done.judged.after is not None and done.judged.loss is not None and done.judged.interval is not None:
        yield figures.TOP_1, done.judged.after
        yield "difference", -done.judged.loss
        yield "difference_low", -done.judged.interval.high
        yield "difference_high", -done.judged.interval.low


def _recipe(done: Optimised) -> dict[str, object]:
    if done.chosen is None:
        return {}
    recipe = done.chosen.trial.recipe
    return {"chosen.integers": recipe.kind.name, "chosen.calibration": recipe.method, "chosen.scope": recipe.scope} | {
        "chosen.layers_in_float": done.chosen.floats
    }


def _report(judgement: Judgement, report: Path | None) -> dict[str, str]:
    """The report as files, in which models of other folders are called without these."""
    folders = {judged.title.removesuffix(without_folders(judged.title)) for judged in judgement.models} - {""}
    folders |= {html.escape(folder) for folder in folders}

    def clean(text: str) -> str:
        return functools.reduce(lambda left, folder: left.replace(folder, ""), folders, text)

    choice = judgement.choice
    mine = replace(
        judgement,
        models=tuple(replace(judged, title=without_folders(judged.title)) for judged in judgement.models),
        warnings=tuple(map(clean, judgement.warnings)),
        choice=None
        if choice is None
        else Choice(
            remain=tuple(map(clean, choice.remain)),
            best=None if choice.best is None else clean(choice.best),
            out={clean(title): clean(why) for title, why in choice.out.items()},
            sentence=clean(choice.sentence),
        ),
    )
    texts = {"judgement.json": json.dumps(mine.as_json(), indent=2), "report.md": reports.told(mine, {}).as_markdown()}
    if report is not None:
        texts["report.html"] = clean((report / "report.html").read_text(encoding="utf-8"))
    return texts


def _sums(classify: Part, resize: Part | None) -> dict[str, str]:
    return {GRAPHS: sha256(classify.path)} | ({} if resize is None else {RESIZE_GRAPH: sha256(resize.path)})


def _config(classify: Part) -> dict[str, Path]:
    path = classify.path.parents[1] / CONFIG
    return {CONFIG: path} if path.is_file() else {}


def _sums_of_written(repository: Path, name: str, version: int, folders: Sequence[Path]) -> dict[str, str]:
    """The graphs of what was written: of two the int8 graph, which is what was made; of a dry run there are none."""
    if not folders:
        return {}
    classify, resizes = graph_path(repository, classify_name(name), version), versions(repository / resize_name(name))
    (made, *_) = [*(path for path in classify.parent.glob("*.onnx") if path != classify), classify]
    resize = graph_path(repository, resize_name(name), resizes[-1])
    return {GRAPHS: sha256(made), RESIZE_GRAPH: sha256(resize)}


def _files(repository: Path, name: str, version: int, folders: Sequence[Path], *, graphs: bool) -> dict[str, Path]:
    """The configuration, and all files of the graphs of this version if they are to be kept."""
    if not folders:
        return {}
    kept = {CONFIG: repository / classify_name(name) / CONFIG}
    for model in (resize_name(name), classify_name(name)) if graphs else ():
        found = (path for path in (repository / model / str(version)).rglob("*") if path.is_file())
        kept |= {f"graphs/{path.relative_to(repository).as_posix()}": path for path in found}
    return kept
