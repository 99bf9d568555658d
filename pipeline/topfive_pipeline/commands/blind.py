"""`topfive judge`: a page on which a person judges two answers to a photo without seeing whose they are."""

from __future__ import annotations

import getpass
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.running import run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.gating import differing, judgements
from topfive_pipeline.gating.blind import Session, count
from topfive_pipeline.gating.blind_server import BlindServer
from topfive_pipeline.gating.differing import Differing
from topfive_pipeline.judging.tables import percent

_NAME: Final = re.compile(r"[\w][\w.@ -]{0,63}")


def judge(
    report: Annotated[
        Path, Argument(help="The folder of a report of topfive gate.", metavar="FOLDER", show_default=False)
    ],
    judge: Annotated[
        str,
        Option(
            "--as",
            help="Your name: each judge has an order of photos and sides of their own.",
            show_default="yours here",
        ),
    ] = "",
    most: Annotated[
        int | None, Option(help="Judge no more than so many photos, chosen by chance.", min=1, show_default="all")
    ] = None,
    port: Annotated[int, Option(help="The port on 127.0.0.1; 0 for any that is free.", min=0, max=65535)] = 0,
    seed: Annotated[int, Option(help="Another one deals another order and other sides.")] = 0,
    show: Annotated[
        bool, Option("--show", help="Show what was judged so far, whose is whose, and serve nothing.")
    ] = False,
    as_json: Annotated[bool, Option("--json", help="As --show, as one JSON document.")] = False,
) -> int:
    """Judge by eye, blind, the photos on which candidate and live version differ: a page in the browser, by keyboard.

    Each judgement is stored at once in FOLDER/judged.jsonl; who comes back goes on where they stopped, and several
    people may judge the same photos. Give the file to topfive gate --judged.

    Exit code: 0 ended by Ctrl-C or shown, 2 the folder or the port cannot be used.
    """
    screen = Screen(quiet=as_json)
    found = differing.read(report)
    stored = report / judgements.FILE
    if show or as_json:
        _show(found, stored, screen, as_json=as_json)
        return 0
    name = judge or _own_name()
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"--as {name}: a name has at most 64 letters, digits, spaces and . @ _ -")
    differing.check_unchanged(found.questions)
    with judgements.opened(stored) as store:
        session = Session(found, store, judge=name, standing=judgements.read(stored), seed=seed, most=most)
        with BlindServer(session, port=port) as server:
            screen.say(f"{session.photos} photos to judge as {escape(name)}. Open this, and press Ctrl-C at the end:\n")
            screen.command(server.url)
            try:
                server.serve_forever()
            except KeyboardInterrupt:
                _tell(session, screen)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Run `topfive judge` with `arguments`; return its exit code."""
    return run(judge, "judge", arguments)


def _own_name() -> str:
    """The name of whoever is logged in here."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError) as error:
        raise ConfigurationError("this machine does not know your name; say it: --as NAME") from error


def _tell(session: Session, screen: Screen) -> None:
    """What is left; who wins only if nothing is, for else a judge would know too much."""
    done = session.done
    screen.say(f"\n{done} of {session.photos} photos judged.")
    screen.say("--show shows the result." if done == session.photos else "The same command goes on where this ended.")


def _show(found: Differing, stored: Path, screen: Screen, *, as_json: bool) -> None:
    counted, who = count(found, judgements.read(stored) if stored.is_file() else [])
    if as_json:
        print_json({**who.as_figures(), **counted.as_figures(), "of": len(found.questions)})
    judges = ", ".join(f"{judge} {photos}" for judge, photos in counted.judges.items()) or "nobody"
    screen.say(f"{len(counted.signs)} of {len(found.questions)} photos judged, by: {escape(judges)}")
    test = who.test
    if test.rate is None or test.interval is None:
        screen.say("No photo decides yet.")
        return
    interval = f"{percent(test.interval.low)} to {percent(test.interval.high)} %"
    screen.say(
        f"The candidate won {test.won:.0f}, lost {test.lost:.0f}, neither {who.tied}: {percent(test.rate)} % of those "
        f"decided (95 %: {interval}), sign test p {test.two_sided:.2g} either way."
    )
