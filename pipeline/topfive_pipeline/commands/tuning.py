"""`topfive tune`: the settings of a model that serve best on this machine, found under load and written with why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Argument, Option

from topfive_pipeline.commands.durations import seconds_of
from topfive_pipeline.commands.recording import NoLog, finish, of_tuned
from topfive_pipeline.commands.running import FAILED, run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.judging.documents import check_can_draw
from topfive_pipeline.proof.photos import read_photos, shipped
from topfive_pipeline.tuning.contents import LEGEND, RULE, candidates, circumstances, doubts, summary, unmeasured
from topfive_pipeline.tuning.reports import write
from topfive_pipeline.tuning.tuned import Tuned
from topfive_pipeline.tuning.tuner import Wanted, tune
from topfive_pipeline.under_load import images
from topfive_pipeline.under_load import latency_objective as objectives


def tune_model(
    model: Annotated[str, Argument(help="The model, as clients call it.", metavar="NAME", show_default=False)],
    objective: Annotated[
        str,
        Option(
            help="p99:50ms: the highest rate at which 99 % of the answers come within 50 ms; several limits with "
            "commas between them (p50:10ms,p99:50ms); throughput: the most images a second, whatever the latency."
        ),
    ] = "p99:50ms",
    repository: Annotated[Path, Option(help="The model repository.")] = Path("my_models"),
    image: Annotated[
        str,
        Option(
            help="How images are sent: jpeg (files), mixed (pixels, each in its own size), or HEIGHTxWIDTH (pixels of "
            "one size, as 224x224). Say what your clients send."
        ),
    ] = images.JPEG,
    photos: Annotated[
        Path | None,
        Option(help=f"A folder of pictures to send, {images.MOST} of them.", show_default="a few that come along"),
    ] = None,
    time: Annotated[str, Option(help="How long it may take, about: 90s, 10m, 1h.")] = "5m",
    cores: Annotated[
        int, Option(help="Cores that the server has, as for topfive itself.", min=0, show_default="all")
    ] = 0,
    bf16: Annotated[
        bool,
        Option(
            "--bf16", help="Try OpenVINO in bfloat16 too, where the processor has it: answers change a little by that."
        ),
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Measure, show what would be written, and write nothing.")
    ] = False,
    report: Annotated[
        Path | None, Option(metavar="DIR", help="Write report.html, report.md and tuning.json into this folder.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
    no_log: NoLog = False,
) -> int:
    """Find the settings with which a model serves best on this machine, and write them into its config.pbtxt.

    Instances, threads, the engine, the batch limit and the queue's delay are tried on real servers under load, in
    rounds in which all have their turn. What is not clearly better than the configuration as it is changes nothing.

    Exit code: 0 tuned, or nothing is clearly better; 1 the objective holds at no rate; 2 it cannot be tuned.
    """
    wanted = Wanted(
        model=model,
        repository=repository,
        objective=objectives.parsed(objective),
        image=images.checked(image),
        seconds=seconds_of(time),
        cores=cores,
        bf16=bf16,
        dry_run=dry_run,
    )
    if report is not None:
        check_can_draw()
    pictures = shipped() if photos is None else read_photos(photos, most=images.MOST)
    screen = Screen(quiet=as_json)
    with screen.working() as progress:
        told = tune(wanted, pictures, progress=progress)
    if as_json:
        print_json(told.to_dict())
    _show(told, screen, dry_run=dry_run)
    if report is not None:
        screen.say(f"\nwritten: {escape(', '.join(map(str, write(told, report))))}")
    params = {"objective": objective, "image": image, "photos": photos, "time": time, "cores": cores, "bf16": bf16}
    finish(Log("tune", wanted=not no_log), screen, lambda: [of_tuned(told, params)])
    return FAILED if told.verdict == "unmet" else 0


def main(arguments: Sequence[str]) -> int:
    """Run `topfive tune` with `arguments`; return its exit code."""
    return run(tune_model, "tune", arguments)


def _show(told: Tuned, screen: Screen, *, dry_run: bool) -> None:
    machine = told.machine
    screen.say(f"{escape(machine.cpu)}, {machine.cores} cores; {escape(circumstances(told))}.\n")
    table = candidates(told)
    screen.table("What was tried", table.columns, table.rows)
    for warning in (*told.warnings, *unmeasured(told)):
        screen.warn(warning)
    screen.say("")
    for sentence in (LEGEND, RULE, *doubts(told)):
        screen.say(f"[dim]{escape(sentence)}[/]")
    screen.say(f"\n[bold]{escape(summary(told))}.[/]")
    if told.text is None:
        screen.say("Nothing was written.")
    elif told.written:
        screen.say("Written, with what was measured as a comment:")
        screen.command(told.config)
    elif dry_run:
        screen.say("A dry run: nothing was written. This would be:\n")
        screen.command_block(told.text)
