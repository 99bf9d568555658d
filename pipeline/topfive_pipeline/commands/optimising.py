"""`topfive optimise`: an int8 version of a model, for the machine at hand, with the table of what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive.repository.accelerators import Engine
from topfive_pipeline.commands import optimised
from topfive_pipeline.commands.durations import seconds_of
from topfive_pipeline.commands.recording import LogGraphs, NoLog, finish, of_optimised
from topfive_pipeline.commands.running import FAILED, run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.judging.documents import check_can_draw
from topfive_pipeline.judging.subjects import Subject, find
from topfive_pipeline.judging.ways import ENGINES
from topfive_pipeline.optimising import plot as plots
from topfive_pipeline.optimising import reports
from topfive_pipeline.optimising.asked import NUMBERS, Numbers, Wanted
from topfive_pipeline.optimising.optimiser import optimise
from topfive_pipeline.optimising.results import Optimised
from topfive_pipeline.proof.photos import Photo, read_photos


def optimise_model(
    model: Annotated[str, Argument(help="The model: NAME, or NAME:VERSION.", metavar="NAME", show_default=False)],
    photos: Annotated[
        Path,
        Option(
            help="A folder of pictures like those that will be asked for; with their classes (labels.csv, or a folder "
            "a class) the loss is known too. Half of them calibrate and choose, the others judge: 500 are good.",
            show_default=False,
        ),
    ],
    repository: Annotated[Path, Option(help="The model repository.")] = Path("my_models"),
    labels: Annotated[
        bool | None,
        Option(
            "--labels/--no-labels",
            help="--labels refuses photos whose classes are not known; --no-labels does as if they were not.",
            show_default="used if they are there",
        ),
    ] = None,
    budget: Annotated[float, Option(help="Points of top-1 accuracy that may be lost.")] = 0.5,
    place: Annotated[
        str,
        Option(
            "--as",
            metavar="WHERE",
            help="Where it is written: next (a further version of the model, which servers then serve), beside (a "
            "further version with both graphs: servers take int8 where the processor multiplies bytes fast), a "
            "version's number, or a name, as NAME_int8, for a model of its own.",
        ),
    ] = "next",
    calibration: Annotated[
        Literal["max", "entropy", "percentile", "auto"],
        Option(help="How the ranges of values are found; auto tries all."),
    ] = "auto",
    time: Annotated[str, Option(help="How long it may try: 90s, 10m, 1h. Judging and proving come after.")] = "10m",
    plot: Annotated[
        Path | None, Option(help="Write the curve of speed against loss to this file: .png, .svg or .pdf.")
    ] = None,
    engines: Annotated[
        str,
        Option(
            help="Which engines may run it, with commas: onnxruntime (or ort), openvino. What lands is the fastest "
            "that is allowed; another engine needs a model of its own (--as NAME)."
        ),
    ] = "onnxruntime",
    precisions: Annotated[
        str,
        Option(
            help="In which numbers, with commas: int8, mixed (int8, with sensitive layers in floating point), bf16 "
            "(OpenVINO, where the processor multiplies it). What cannot run here is left out by name, as fp16 on CPUs."
        ),
    ] = "int8,mixed",
    at_most_ms: Annotated[
        float | None, Option(help="Milliseconds that an image alone may take.", show_default=False)
    ] = None,
    at_most_mb: Annotated[
        float | None, Option(help="Megabytes of memory that it may take.", show_default=False)
    ] = None,
    cross: Annotated[
        bool,
        Option(
            "--cross/--no-cross",
            help="Judge the recipe on the photos of both halves, by a second graph that the judging half calibrates; "
            "without, only the graph itself is judged, on half of the photos.",
        ),
    ] = True,
    accept_undecided: Annotated[
        bool,
        Option(
            "--accept-undecided",
            help="Write the version though it loses more than --budget on these photos, if they do not prove that.",
        ),
    ] = False,
    report: Annotated[
        Path | None,
        Option(
            help="Write all tables into this folder, as report.html with the curve, report.md and optimisation.json.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Try, judge and prove, and write nothing.")] = False,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
    no_log: NoLog = False,
    log_graphs: LogGraphs = False,
) -> int:
    """Quantise a model to eight-bit integers for the machine at hand, and keep it only if that pays.

    It measures which integers this processor is fast at, tries the ways to calibrate, and returns the most sensitive
    layers to floating point where that is worth their time. Photos that calibrate or choose never judge.

    Exit code: 0 written, 1 it does not pay, loses too much, or the proof failed; 2 it cannot be tried.
    """
    screen = Screen(quiet=as_json)
    seconds = seconds_of(time)
    if not 0 <= budget <= 100:
        raise ConfigurationError(f"--budget {budget:g}: points of accuracy are from 0 to 100")
    if plot is not None:
        plots.check(plot)
    if report is not None:
        check_can_draw()
    (subject,) = find([model], repository)
    pictures = _photos(photos, subject, labels)
    log = Log("optimise", wanted=not no_log)
    wanted = Wanted(
        model=model,
        repository=repository,
        budget=budget,
        place=place,
        method=calibration,
        seconds=seconds,
        dry_run=dry_run,
        crosses=cross,
        accepts_undecided=accept_undecided,
        engines=_engines(engines),
        precisions=_precisions(precisions),
        most_ms=at_most_ms,
        most_mb=at_most_mb,
        link=log.link,
    )
    with log:
        with screen.working() as progress:
            done = optimise(wanted, pictures, progress=progress)
        if plot is not None and done.chosen is not None:
            plots.save(done.curve, done.chosen, plot, title=f"{model} in int8, on this machine")
        document = optimised.document(done)
        if report is not None:
            reports.write(done, document, report, model=model, budget=budget)
        if as_json:
            print_json(document)
        optimised.show(done, screen, budget=budget)
        _tell(done, screen, repository=repository, dry_run=dry_run, plot=plot)
        if report is not None:
            screen.say(f"The report: {escape(str(report / 'report.html'))}")
        params = {"model": model, "photos": photos, "budget": budget, "as": place, "calibration": calibration}
        params |= {"engines": engines, "precisions": precisions, "at_most_ms": at_most_ms, "at_most_mb": at_most_mb}
        params |= {
            "labels": labels,
            "time": time,
            "cross": cross,
            "accept_undecided": accept_undecided,
            "dry_run": dry_run,
        }
        finish(log, screen, lambda: [of_optimised(done, pictures, repository, params, plot, graphs=log_graphs)])
    return FAILED if done.refused is not None else 0


def main(arguments: Sequence[str]) -> int:
    """Run `topfive optimise` with `arguments`; return its exit code."""
    return run(optimise_model, "optimise", arguments)


def _photos(folder: Path, subject: Subject, labels: bool | None) -> list[Photo]:
    """The photos in `folder`, with their classes if `labels` does not say otherwise."""
    pictures = read_photos(folder, labels=subject.labels)
    if labels and any(photo.label is None for photo in pictures):
        raise ConfigurationError(
            f"--labels: the classes of the pictures in {folder} are not known; add labels.csv (columns file and index, "
            "or file and label), or put the pictures into a folder for each class"
        )
    return [Photo(photo.path) for photo in pictures] if labels is False else pictures


def _engines(text: str) -> tuple[Engine, ...]:
    names = {"ort": "onnxruntime"}
    said = [names.get(each.strip(), each.strip()) for each in text.split(",")]
    for each in said:
        if each not in ENGINES:
            raise ConfigurationError(f"--engines {each}: there are {', '.join(ENGINES)}, and ort for the first")
    return tuple(engine for engine in ENGINES if engine in said)


def _precisions(text: str) -> frozenset[Numbers]:
    said = {each.strip() for each in text.split(",")}
    if not said <= set(NUMBERS) or not said & {"int8", "mixed"}:
        raise ConfigurationError(
            f"--precisions {text}: say int8 or mixed, and bf16 beside them if you like, with commas between"
        )
    return frozenset(each for each in NUMBERS if each in said)


def _tell(done: Optimised, screen: Screen, *, repository: Path, dry_run: bool, plot: Path | None) -> None:
    if plot is not None and done.chosen is not None:
        screen.say(f"\nThe curve is plotted in {escape(str(plot))}.")
    if done.refused is not None:
        screen.say(f"\n[red]Nothing was written:[/] {escape(done.refused)}.")
        return
    if dry_run:
        screen.say("\nA dry run: nothing was written.")
        return
    screen.written(done.name, done.version, done.folders, repository)
