"""`topfive experiments`: the runs of all commands, as recorded: listed, shown, put beside each other, and exported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.running import run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.experiments import figures
from topfive_pipeline.experiments.comparing import Comparison, Row, figure, run_with, shortened
from topfive_pipeline.experiments.comparing import compare as put_beside
from topfive_pipeline.experiments.exports import Format, as_document, format_of, write
from topfive_pipeline.experiments.lookup import one, runs_of
from topfive_pipeline.experiments.runs import REFUSED, Stored
from topfive_pipeline.experiments.tracking import Tracker

_REPOSITORY: Final = Path("my_models")
_COLUMNS: Final = ("run", "began", "command", "model", "photos", "top-1", "loss", "speed")
"""`began` in UTC; `photos`: their fingerprint begins so; `speed`: in batches of 8, by that of the model before."""

Repository = Annotated[Path, Option(help="The model repository that NAME is of.")]
Json = Annotated[bool, Option("--json", help="One JSON document instead of tables.")]


def list_runs(
    last: Annotated[int, Option(help="How many runs, the newest first.", min=1)] = 20,
    as_json: Json = False,
) -> int:
    """List the runs that were recorded: of import, check, optimise, evaluate and export.

    `show RUN|NAME`, `compare RUN RUN` and `export FILE` behind `topfive experiments` say more. The record is where
    MLFLOW_TRACKING_URI says, else in mlflow.db of the working directory: `mlflow ui` shows it too.

    Exit code: 0, or 2 if there is no record that can be read.
    """
    tracker = Tracker()
    runs = tracker.runs(last)
    if as_json:
        print_json([as_document(each) for each in runs])
        return 0
    screen = Screen()
    if not runs:
        screen.say(f"{escape(tracker.where)} has no run yet: topfive import, optimise and evaluate record theirs")
        return 0
    screen.table("", _COLUMNS, [_row(each) for each in runs])
    return 0


def show_run(
    which: Annotated[
        str, Argument(help="A run, by the beginning of its id; or a model, NAME or NAME:VERSION.", metavar="RUN|NAME")
    ],
    repository: Repository = _REPOSITORY,
    as_json: Json = False,
) -> int:
    """Show all that was recorded of a run, or of the run that made a model; and of a model its other runs.

    Exit code: 0, or 2 if there is no such run.
    """
    tracker = Tracker()
    found = runs_of(which, tracker, repository)
    shown = tracker.run(found.made_by or found.runs[0].id)
    if as_json:
        print_json(as_document(shown))
        return 0
    _show(shown, Screen())
    others = [each for each in found.runs if each.id != shown.id]
    if others:
        screen = Screen()
        screen.say("")
        screen.table("Other runs of the same graph", _COLUMNS, [_row(each) for each in others])
    return 0


def compare_runs(
    which: Annotated[list[str], Argument(help="Two runs or more, by id or by model.", metavar="RUN...")],
    repository: Repository = _REPOSITORY,
    as_json: Json = False,
) -> int:
    """Put runs beside each other: what differs in flags, in code, libraries and machine, and every figure.

    It says if they are of different photos, so that their figures cannot be compared.

    Exit code: 0, or 2 if there is no such run.
    """
    if len(which) < 2:
        raise ConfigurationError("a comparison needs two runs or more; topfive experiments lists them")
    tracker = Tracker()
    compared = put_beside([one(each, tracker, repository) for each in which])
    if as_json:
        print_json({"runs": [as_document(each) for each in compared.runs], "doubts": compared.doubts})
        return 0
    _show_comparison(compared, Screen())
    return 0


def export_runs(
    file: Annotated[Path, Argument(help="Where to write: .csv, .json or .md.", metavar="FILE")],
    form: Annotated[Format | None, Option("--format", help="The format.", show_default="by the name of FILE")] = None,
    last: Annotated[
        int | None, Option(help="How many runs, the newest first.", min=1, show_default="all of them")
    ] = None,
) -> int:
    """Write all runs as one table, a row for each, with every parameter, metric and tag (Markdown: every metric).

    Exit code: 0, or 2 if there is no record that can be read, or FILE cannot be written.
    """
    form = form or format_of(file)
    runs = Tracker().runs(last)
    write(runs, file, form)
    Screen().say(f"written: {len(runs)} runs into {escape(str(file))}")
    return 0


COMMANDS: Final[dict[str, Callable[..., int]]] = {"show": show_run, "compare": compare_runs, "export": export_runs}
"""What may stand behind `topfive experiments`."""


def main(arguments: Sequence[str]) -> int:
    """Run `topfive experiments` with `arguments`; return its exit code."""
    if arguments and arguments[0] in COMMANDS:
        return run(COMMANDS[arguments[0]], f"experiments {arguments[0]}", arguments[1:])
    if arguments and not arguments[0].startswith("-") and arguments[0] != "list":
        return run(_unknown, "experiments", arguments[:1])
    return run(list_runs, "experiments", [each for each in arguments if each != "list"], needs_arguments=False)


def _unknown(word: str) -> int:
    raise ConfigurationError(f"there is no '{word}'; there are list (as without a word), {', '.join(COMMANDS)}")


def _row(stored: Stored) -> tuple[str, ...]:
    metrics = stored.metrics
    top_1, loss, speed = (metrics.get(name) for name in (figures.TOP_1, figures.LOSS, figures.SPEED))
    return (
        stored.short,
        f"{stored.began:%m-%d %H:%M}",
        stored.command + ("" if stored.status == "FINISHED" else f" ({stored.status.lower()})"),
        stored.model,
        stored.data[:6],
        "" if top_1 is None else f"{top_1:.1%}",
        "" if loss is None else f"{loss:.3f}",
        "" if speed is None else f"{speed:.2f} ×",
    )


def _show(stored: Stored, screen: Screen) -> None:
    screen.say(f"[bold]{escape(stored.command)} {escape(stored.model)}[/], run {stored.id}, {stored.status.lower()}")
    screen.say(f"began {stored.began:%Y-%m-%d %H:%M:%S} UTC")
    if REFUSED in stored.tags:
        screen.warn(f"nothing was written: {stored.tags[REFUSED]}")
    others = {name: shortened(value) for name, value in run_with(stored).items() if name != REFUSED}
    tables = (
        ("Asked for", stored.params),
        ("Found", {name: figure(value) for name, value in stored.metrics.items()}),
        ("Run with", others),
    )
    for title, rows in tables:
        if rows:
            screen.say("")
            screen.pairs(title, sorted(rows.items()))
    if stored.artifacts:
        screen.say(f"\nFiles: {escape(', '.join(stored.artifacts))}")


def _show_comparison(compared: Comparison, screen: Screen) -> None:
    heads = ("", *(f"{each.short} {each.model}" for each in compared.runs))
    for doubt in compared.doubts:
        screen.warn(doubt)
    tables: tuple[tuple[str, tuple[Row, ...]], ...] = (
        ("What was asked for differs in", compared.params),
        ("What was found", compared.metrics),
        ("What it was run with differs in", compared.tags),
    )
    for title, rows in tables:
        if rows:
            screen.say("")
            screen.table(title, heads, [(row.name, *map(shortened, row.values)) for row in rows])
