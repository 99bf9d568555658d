"""`topfive import`: from a trained classifier to a served model, in one command, and proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.finding import find_best
from topfive_pipeline.commands.lines import beginning, customary, flags
from topfive_pipeline.commands.recording import LogGraphs, NoLog, finish, of_plan, of_written
from topfive_pipeline.commands.running import FAILED, REFUSED, run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.entry.labels import IMAGENET, labels_in, read_labels
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.facts import Fact, in_order, preprocessing_facts
from topfive_pipeline.graphs.layouts import LayoutChoice
from topfive_pipeline.graphs.scores import ScoresChoice
from topfive_pipeline.importer import Imported, Plan, Wanted, carry_out, must_have_labels, plan
from topfive_pipeline.preprocessing.flags import choices_said
from topfive_pipeline.preprocessing.presets import PRESETS
from topfive_pipeline.proof import on_triton
from topfive_pipeline.proof.photos import Photo, read_photos, shipped

_REPOSITORY: Final = Path("my_models")
_PROVEN_ON: Final = 40
"""Photos are enough to find a wrong graph; more would only take longer."""
_IMAGENET: Final = "imagenet-1k"
_PREPROCESSING: Final = "The preprocessing"
_SCORES: Final = "The network"
_PROOF: Final = "The proof"
_WRITING: Final = "Writing"


def import_model(
    model: Annotated[Path, Argument(help="The network's ONNX file.", metavar="MODEL.onnx", show_default=False)],
    name: Annotated[str, Option(help="The name that clients will call it by.", show_default=False)],
    repository: Annotated[Path, Option(help="The model repository: a folder of models, made if need be.")] = Path(
        "my_models"
    ),
    version: Annotated[str, Option(help="The version to write: next, or a number.")] = "next",
    from_: Annotated[
        str | None,
        Option(
            "--from",
            metavar="FILE",
            help="Take the preprocessing from timm's config.json, Hugging Face's "
            "preprocessor_config.json, a torchvision weights' name (ResNet18_Weights.IMAGENET1K_V1) or a Keras model "
            "(keras:MobileNetV2).",
            rich_help_panel=_PREPROCESSING,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        Option(
            help=f"{', '.join(PRESETS)}; flags override it.",
            rich_help_panel=_PREPROCESSING,
        ),
    ] = None,
    resize: Annotated[
        str | None, Option(help="short-side:256, squash, letterbox[:fill] or none.", rich_help_panel=_PREPROCESSING)
    ] = None,
    crop: Annotated[
        str | None, Option(help="The centre that the network takes: 224, or 48x192 (height x width).")
    ] = None,
    crop_rounding: Annotated[str | None, Option(help="half-even (torchvision, timm) or floor (Hugging Face).")] = None,
    interpolation: Annotated[str | None, Option(help="bicubic, bilinear or nearest.")] = None,
    antialias: Annotated[
        bool | None, Option("--antialias/--no-antialias", help="Pillow resizes with it, OpenCV and TensorFlow without.")
    ] = None,
    mean: Annotated[str | None, Option(help="0.485,0.456,0.406: in the order of the network's channels.")] = None,
    std: Annotated[str | None, Option(help="0.229,0.224,0.225.")] = None,
    scale: Annotated[str | None, Option(help="What grey levels are multiplied by first: 1/255, or 1.")] = None,
    colour: Annotated[str | None, Option(help="rgb, bgr or grey.")] = None,
    layout: Annotated[LayoutChoice, Option(help="How the network's input holds pixels; flat: in one row.")] = "auto",
    labels: Annotated[
        str | None, Option(metavar="FILE", help="txt, csv or json; or imagenet-1k.", show_default=False)
    ] = None,
    scores: Annotated[ScoresChoice, Option(help="What makes probabilities of the network's scores.")] = "auto",
    top: Annotated[int | None, Option(help="Labels in an answer.", show_default="5, or all with --threshold")] = None,
    threshold: Annotated[
        float | None, Option(help="For networks whose classes do not exclude one another: name all that are above it.")
    ] = None,
    output: Annotated[str | None, Option(help="The output with the scores, if there are several.")] = None,
    embedding: Annotated[str | None, Option(help="A value of the network to put out too, as `embedding`.")] = None,
    photos: Annotated[
        Path | None, Option(help="A folder of pictures to prove it on, with labels.csv or a folder a class for --find.")
    ] = None,
    tolerance: Annotated[
        float | None,
        Option(
            help="The most that a probability may differ from the network's.",
            show_default="1e-4; FP16: 2e-3; 8 bits: 1e-2",
        ),
    ] = None,
    tritonserver: Annotated[
        Path | None,
        Option(
            metavar="PATH",
            help="Prove it on this Triton too.",
            show_default="the one of the PATH, if any",
            rich_help_panel=_PROOF,
        ),
    ] = None,
    find: Annotated[
        bool, Option("--find", help="Rank the customary preprocessings on labelled photos; write nothing.")
    ] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Prove, and write nothing.")] = False,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
    replace: Annotated[bool, Option("--replace", help="Write the model anew, in place of all its versions.")] = False,
    source: Annotated[str | None, Option(help="Where the network is from: kept in the graph.")] = None,
    licence: Annotated[str | None, Option(help="The licence of its weights: kept in the graph.")] = None,
    no_log: NoLog = False,
    log_graphs: LogGraphs = False,
) -> int:
    """Turn a trained classifier into a model that topfive serves, and prove it before anything is written.

    Resizing, cropping, normalising, softmax, the best labels and their names become part of the graphs. What the
    network was trained on must be said: by --from, by --preset, or flag by flag. Nothing of it is guessed.

    Exit code: 0 written, 1 the proof failed, 2 something must be said or cannot be used.
    """
    screen = Screen(quiet=as_json)
    number = _version(version)
    _check_tolerance(tolerance)
    start = beginning(
        str(model),
        {
            "name": name,
            "repository": None if repository == _REPOSITORY else str(repository),
            "labels": labels,
            "layout": None if layout == "auto" else layout,
            "scores": None if scores == "auto" else scores,
            "top": top,
            "threshold": threshold,
            "output": output,
            "embedding": embedding,
            "photos": photos,
            "source": source,
            "licence": licence,
            "version": None if version == "next" else version,
            "tolerance": tolerance,
            "replace": replace,
            "dry-run": dry_run,
        },
    )
    said = choices_said(
        resize=resize,
        crop=crop,
        crop_rounding=crop_rounding,
        interpolation=interpolation,
        antialias=antialias,
        mean=mean,
        std=std,
        scale=scale,
        colour=colour,
    )
    names, names_from = _labels(labels, from_)
    wanted = Wanted(
        model=model,
        name=name,
        said=said,
        from_file=from_,
        preset=preset,
        labels=names,
        labels_from=names_from,
        layout=layout,
        scores=scores,
        output=output,
        embedding=embedding,
        top=top,
        threshold=threshold,
        source=source,
        licence=licence,
    )
    planned = plan(wanted)
    if find:
        return find_best(planned, _photos(photos, names, most=None), screen, as_json=as_json, start=start)
    _show(planned, screen)
    if planned.resolved.rules is None:
        return _must_be_said(planned, screen, as_json=as_json, start=start)
    must_have_labels(planned)
    pictures = _photos(photos, names, most=_PROVEN_ON)
    with screen.working() as progress:
        done = carry_out(
            planned,
            repository,
            pictures,
            tolerance=tolerance,
            progress=progress,
            version=number,
            replace=replace,
            dry_run=dry_run,
            tritonserver=on_triton.find(tritonserver),
        )
    if as_json:
        print_json(_document(planned, done))
    _tell(planned, done, screen, repository=repository, dry_run=dry_run)
    params = {"network": model, "labels": names_from, "from": from_, "preset": preset, "dry_run": dry_run}
    params |= {"tolerance": tolerance, "replace": replace, **of_plan(planned)}
    log = Log("import", wanted=not no_log)
    record = partial(of_written, name, done.version, done.proof, done.folders, repository, params)
    finish(log, screen, lambda: [record(photos=pictures, graphs=log_graphs)])
    return 0 if done.proof.failure is None else FAILED


def main(arguments: Sequence[str]) -> int:
    """Run `topfive import` with `arguments`; return its exit code."""
    return run(import_model, "import", arguments)


def _labels(said: str | None, source: str | None) -> tuple[list[str] | None, str]:
    if said == _IMAGENET:
        return read_labels(IMAGENET), _IMAGENET
    if said is not None:
        return read_labels(Path(said)), Path(said).name
    if source is not None and (found := labels_in(Path(source))) is not None:
        return found, "config.json" if Path(source).is_dir() else Path(source).name
    return None, ""


def _photos(folder: Path | None, labels: Sequence[str] | None, *, most: int | None) -> list[Photo]:
    return shipped() if folder is None else read_photos(folder, labels=labels or (), most=most)


def _version(text: str) -> int | None:
    if text == "next":
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise ConfigurationError(f"--version {text}: a version is next, or a number from 1 on")
    return int(text)


def _check_tolerance(tolerance: float | None) -> None:
    if tolerance is not None and not 0 < tolerance < 1:
        raise ConfigurationError(f"--tolerance {tolerance:g}: probabilities differ by more than 0 and less than 1")


def _show(planned: Plan, screen: Screen) -> None:
    facts = [*planned.facts, *preprocessing_facts(planned.resolved.choices)]
    screen.facts(in_order(facts), [(each.flag, each.hint) for each in planned.resolved.missing])


def _must_be_said(planned: Plan, screen: Screen, *, as_json: bool, start: str) -> int:
    missing = [asdict(each) for each in planned.resolved.missing]
    lines = [(name, f"{start} {flags(planned, rules)}") for name, rules in customary(planned)]
    if as_json:
        print_json({"refused": "must be said", "missing": missing, "candidates": dict(lines)})
        return REFUSED
    screen.say("\n[red]Nothing was written:[/] a wrong preprocessing costs accuracy, and nothing would tell you.")
    screen.say("Say it by --from FILE or --preset, or take one of the customary ones:\n")
    for name, line in lines:
        screen.say(f"[dim]# {name}[/]")
        screen.command(line)
    screen.say("\nWith 50 photos whose class is known, --find --photos DIR ranks them.")
    return REFUSED


def _document(planned: Plan, done: Imported) -> dict[str, Any]:
    return {
        "name": planned.wanted.name,
        "version": done.version,
        "facts": [asdict(fact) for fact in planned.facts],
        "preprocessing": {field: asdict(choice) for field, choice in planned.resolved.choices.items()},
        "batch": done.how_batched,
        "warnings": done.warnings,
        "proof": done.proof.as_json(),
        "written": [str(folder) for folder in done.folders],
    }


def _tell(planned: Plan, done: Imported, screen: Screen, *, repository: Path, dry_run: bool) -> None:
    for warning in done.warnings:
        screen.warn(warning)
    if planned.network.batch is not None:
        screen.facts([Fact("found", "batch", done.how_batched)])
    screen.proof(done.proof)
    if (failure := done.proof.failure) is not None:
        screen.say(f"\n[red]Nothing was written:[/] the first step that differs is '{failure.step}'.")
        return
    if dry_run:
        screen.say("\nA dry run: nothing was written.")
        return
    screen.written(planned.wanted.name, done.version, done.folders, repository)
    screen.say("\nAsk it:\n")
    screen.command(f"curl --data-binary @photo.jpg 'http://127.0.0.1:8000/v1/classify?model={planned.wanted.name}'")
