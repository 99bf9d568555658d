"""`topfive evaluate`: models beside each other on labelled photos, and which of them are within what is allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.recording import NoLog, finish, of_judgement
from topfive_pipeline.commands.running import FAILED, run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.experiments.runs import without_folders
from topfive_pipeline.judging.contents import sections, summary
from topfive_pipeline.judging.documents import check_can_draw
from topfive_pipeline.judging.judge import BATCHES, Asked, Judgement, Which, judge
from topfive_pipeline.judging.limits import Limits, Wish
from topfive_pipeline.judging.reports import write
from topfive_pipeline.judging.speed import ROUNDS
from topfive_pipeline.judging.subjects import find
from topfive_pipeline.judging.ways import ENGINES, NUMBERS, Way, ways_of

_BATCHES: Final = ",".join(map(str, BATCHES))
_SIZES: Final = re.compile(r"[1-9]\d{0,5}(,[1-9]\d{0,5})*")
_LIMITS: Final = "What is allowed"
_MEASURING: Final = "Measuring"


def evaluate(
    models: Annotated[
        list[str],
        Argument(
            help="NAME or NAME:VERSION, or FOLDER/NAME of another repository; behind it perhaps how it is to run, as "
            "@int8 or @openvino-bf16, if not as the server would run it here. The others are compared with the first.",
            metavar="NAME...",
            show_default=False,
        ),
    ],
    photos: Annotated[
        Path,
        Option(help="A folder of pictures with their classes: labels.csv, or a folder a class.", show_default=False),
    ],
    repository: Annotated[Path, Option(help="The model repository.")] = Path("my_models"),
    part: Annotated[
        Which, Option(help="The half of the photos that never calibrates (by the hash of their files), or all.")
    ] = "judge",
    at_most_loss: Annotated[
        float | None, Option(help="Points of top-1 that a model may lose.", rich_help_panel=_LIMITS)
    ] = None,
    at_most_ms: Annotated[
        float | None, Option(help="Milliseconds that an image alone may take.", rich_help_panel=_LIMITS)
    ] = None,
    at_most_mb: Annotated[
        float | None, Option(help="Megabytes of memory that a loaded model may take.", rich_help_panel=_LIMITS)
    ] = None,
    prefer: Annotated[Wish, Option(help="What the best of the models within the limits is best in.")] = "speed",
    batches: Annotated[
        str, Option(help="Batch sizes to time; those that the memory is too small for are left out.")
    ] = _BATCHES,
    engines: Annotated[
        str, Option(help=f"Run each model on each of these engines: {', '.join(ENGINES)}.", show_default="as served")
    ] = "",
    precisions: Annotated[
        str, Option(help=f"Run each model in each of these precisions: {', '.join(NUMBERS)}.", show_default="as served")
    ] = "",
    rounds: Annotated[
        int, Option(help="Rounds of timing, fewer for batches that take long; 0 leaves the speed out.", min=0)
    ] = ROUNDS,
    cores: Annotated[
        int, Option(help="Cores to use, as for the server.", min=0, show_default="all that may be used")
    ] = 0,
    report: Annotated[
        Path | None, Option(metavar="DIR", help="Write report.html, report.md and judgement.json into this folder.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
    no_log: NoLog = False,
) -> int:
    """Judge models on labelled photos: accuracy, difference, speed, size, load time and memory, each with its spread.

    Every model is run by the graphs that the server runs. Speed is timed in rounds in which every model takes its turn.

    Exit code: 0 judged, 1 no model is within what is allowed, 2 a model or the photos cannot be used.
    """
    if not _SIZES.fullmatch(batches):
        raise ConfigurationError(f"--batches {batches}: say sizes with commas between them, as {_BATCHES}")
    if report is not None:
        check_can_draw()
    asked = Asked(
        models=models,
        repository=repository,
        photos=photos,
        part=part,
        batches=[int(size) for size in batches.split(",")],
        rounds=rounds,
        cores=cores,
        ways=_ways(engines, precisions),
        limits=Limits(at_most_loss, at_most_ms, at_most_mb, prefer),
    )
    screen = Screen(quiet=as_json)
    with screen.working() as progress:
        judgement = judge(asked, progress)
    if as_json:
        print_json(judgement.as_json())
    _show(judgement, screen)
    if report is not None:
        written = write(judgement, report)
        screen.say(f"\nwritten: {escape(', '.join(map(str, written)))}")
    params: dict[str, object] = {
        "models": [without_folders(each) for each in models],
        "part": part,
        "batches": batches,
        "rounds": rounds,
        "cores": cores,
        "engines": engines,
        "precisions": precisions,
        "at_most_loss": at_most_loss,
        "at_most_ms": at_most_ms,
        "at_most_mb": at_most_mb,
        "prefer": prefer,
    }
    judged = [each.title for each in judgement.models]
    log = Log("evaluate", wanted=not no_log)
    finish(log, screen, lambda: list(of_judgement(judgement, find(judged, repository), photos, params, report)))
    return FAILED if judgement.choice is not None and judgement.choice.best is None else 0


def _ways(engines: str, precisions: str) -> Sequence[Way]:
    """Every engine with every precision; none if nothing is said."""
    said = [[word.strip() for word in words.split(",")] if words else [] for words in (engines, precisions)]
    return ways_of(*said) if any(said) else ()


def main(arguments: Sequence[str]) -> int:
    """Run `topfive evaluate` with `arguments`; return its exit code."""
    return run(evaluate, "evaluate", arguments)


def _show(judgement: Judgement, screen: Screen) -> None:
    screen.say(f"[bold]{escape(summary(judgement))}[/]")
    for section in sections(judgement):
        screen.say(f"\n[bold]{escape(section.title)}[/]")
        if section.key == "choice":
            screen.say(escape(section.lead))
        for table in section.tables:
            screen.table("", table.columns, table.rows)
        for note in section.notes:
            screen.say(escape(note))
