"""`topfive evaluate`: models beside each other on labelled photos, and which of them are within what is allowed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.running import FAILED, run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.judging.contents import sections, summary
from topfive_pipeline.judging.judge import BATCHES, Asked, Judgement, Which, judge
from topfive_pipeline.judging.limits import Limits, Wish
from topfive_pipeline.judging.reports import check_can_draw, write
from topfive_pipeline.judging.speed import ROUNDS

_BATCHES: Final = ",".join(map(str, BATCHES))
_SIZES: Final = re.compile(r"[1-9]\d{0,5}(,[1-9]\d{0,5})*")
_LIMITS: Final = "What is allowed"
_MEASURING: Final = "Measuring"


def evaluate(
    models: Annotated[
        list[str],
        Argument(
            help="NAME or NAME:VERSION, or FOLDER/NAME of another repository; of a version with two graphs @fp32 or "
            "@int8 says which, else it is the one that the server takes here. The first is what all are compared with.",
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
    rounds: Annotated[int, Option(help="Rounds of timing; 0 leaves the speed out.", min=0)] = ROUNDS,
    cores: Annotated[
        int, Option(help="Cores to use, as for the server.", min=0, show_default="all that may be used")
    ] = 0,
    report: Annotated[
        Path | None, Option(metavar="DIR", help="Write report.html, report.md and judgement.json into this folder.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
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
    return FAILED if judgement.choice is not None and judgement.choice.best is None else 0


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
