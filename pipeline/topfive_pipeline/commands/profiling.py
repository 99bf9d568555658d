"""`topfive profile`: what bounds a service under load, with the evidence, and what to try."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Argument, Option

from topfive.config.environment import variable
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.recording import NoLog, finish, of_profile
from topfive_pipeline.commands.running import run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.judging.documents import check_can_draw
from topfive_pipeline.profiling.contents import also, spent_table, stage_table, thread_table, tries
from topfive_pipeline.profiling.profile import Profile
from topfive_pipeline.profiling.profiler import Wanted, profile
from topfive_pipeline.profiling.reports import write
from topfive_pipeline.proof.photos import read_photos, shipped
from topfive_pipeline.under_load import images

_OPERATORS = 5
_KEY = "PROFILE_API_KEY"


def profile_service(
    model: Annotated[
        str,
        Argument(help="The model, as clients call it; with --no-load it may be left out.", metavar="NAME"),
    ] = "",
    repository: Annotated[
        Path | None,
        Option(
            help="The model repository; with --url it is read for the graphs only.",
            show_default="my_models, or none with --url",
        ),
    ] = None,
    url: Annotated[
        str | None,
        Option(
            help="Profile a service that runs at http(s)://HOST:PORT, instead of starting one. If it asks for an API "
            "key, set PROFILE_API_KEY."
        ),
    ] = None,
    pid: Annotated[
        int | None,
        Option(
            help="Its process here; with several workers that of the supervisor.",
            min=1,
            show_default="found by its port",
        ),
    ] = None,
    no_load: Annotated[
        bool, Option("--no-load", help="Send nothing: watch the load that a running service has (--url).")
    ] = False,
    photos: Annotated[
        Path | None,
        Option(help=f"A folder of pictures to send, {images.MOST} of them.", show_default="a few that come along"),
    ] = None,
    image: Annotated[
        str,
        Option(
            help="How images are sent: jpeg (files), mixed (pixels, each in its own size), or HEIGHTxWIDTH (pixels of "
            "one size, as 224x224). Say what your clients send."
        ),
    ] = images.JPEG,
    connections: Annotated[int, Option(help="Requests under way at once.", min=1, max=1024)] = 8,
    seconds: Annotated[
        float, Option(help="How long to watch; about as long again is for all else.", min=1, max=600)
    ] = 20.0,
    cores: Annotated[
        int | None,
        Option(help="Cores of the service that is started, as for topfive itself.", min=1, show_default="all"),
    ] = None,
    report: Annotated[
        Path | None, Option(metavar="DIR", help="Write profile.html, profile.md and profile.json into this folder.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
    no_log: NoLog = False,
) -> int:
    """Say what bounds a service under load: cores, memory, disks, a quota, neighbours, or the client; and what to try.

    It watches from outside: the service's metrics, Linux' accounts of its threads, stacks of Python by py-spy, and the
    model's graphs by themselves. Nothing is changed.

    Exit code: 0 profiled, whatever was found; 2 it cannot be.
    """
    _check(model=model, url=url, no_load=no_load, pid=pid, cores=cores)
    if report is not None:
        check_can_draw()
    if repository is None and url is None:
        repository = Path("my_models")
    wanted = Wanted(
        model=model,
        repository=repository,
        url=url,
        pid=pid,
        image=images.checked(image),
        connections=connections,
        seconds=seconds,
        loaded=not no_load,
        flags=() if cores is None else ("--cores", str(cores)),
        api_key=(variable(_KEY) or "") if url is not None else "",
    )
    pictures = shipped() if photos is None else read_photos(photos, most=images.MOST)
    screen = Screen(quiet=as_json)
    with screen.working() as progress:
        told = profile(wanted, pictures, progress=progress)
    if as_json:
        print_json(told.to_dict())
    _show(told, screen)
    if report is not None:
        screen.say(f"\nwritten: {escape(', '.join(map(str, write(told, report))))}")
    params = {"image": image, "connections": connections, "seconds": seconds, "photos": photos, "no_load": no_load}
    finish(Log("profile", wanted=not no_log), screen, lambda: [of_profile(told, params)])
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run `topfive profile` with `arguments`; return its exit code."""
    return run(profile_service, "profile", arguments)


def _check(*, model: str, url: str | None, no_load: bool, pid: int | None, cores: int | None) -> None:
    """Raise `ConfigurationError` for flags that would be ignored, or that miss one."""
    if url is None:
        for flag, said in (("--no-load", no_load), ("--pid", pid is not None)):
            if said:
                raise ConfigurationError(f"{flag} is for a service that runs already: say where, with --url")
    elif cores is not None:
        raise ConfigurationError("--cores is for a service that is started here; with --url say nothing of cores")
    if not model and not no_load:
        raise ConfigurationError("say which model: topfive profile NAME")


def _show(told: Profile, screen: Screen) -> None:
    evidence = told.evidence
    if evidence.stages is not None:
        screen.say(
            escape(f"{evidence.stages.rate:.0f} requests a second; {told.load or 'with the load that it has'}.\n")
        )
        for title, table in (("An average request", stage_table(evidence)), ("CPU by thread", thread_table(evidence))):
            if table.rows:
                screen.table(title, table.columns, table.rows)
                screen.say("")
    for graph in evidence.graphs:
        table = spent_table("operator", graph.operators[:_OPERATORS])
        screen.table(f"{graph.title}: {graph.file} by itself, for an image", table.columns, table.rows)
        screen.say("")
    for each in told.unknown:
        screen.say(f"[dim]{escape(each)}[/]")
    first, *others = told.findings
    figures = f": {escape('; '.join(first.figures))}" if first.figures else ""
    screen.say(f"\n[bold]{escape(first.name)}[/]{figures}.")
    for other in others:
        screen.say(escape(f"{also(other)}."))
    screen.say("\nTry, in this order:")
    for line in tries(told):
        screen.say(f"  {escape(line)}")
