"""`topfive gate`: whether a version of a model may go live in place of another, in one sentence, with the evidence."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from rich.markup import escape
from typer import Argument, Option

from topfive.config.environment import variable
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.gated import Held, of_gate, show
from topfive_pipeline.commands.recording import NoLog, finish
from topfive_pipeline.commands.running import FAILED, REFUSED, run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.experiments.log import Log
from topfive_pipeline.gating import gate, quality, side_by_side
from topfive_pipeline.gating.baseline import Origin, beside_report
from topfive_pipeline.gating.gate import Gated
from topfive_pipeline.gating.inputs import Asked, read
from topfive_pipeline.gating.parts import planned
from topfive_pipeline.gating.reports import write
from topfive_pipeline.gating.sentence import Verdict
from topfive_pipeline.gating.starting import Wanted, competing, started
from topfive_pipeline.judging.documents import check_can_draw, check_can_write
from topfive_pipeline.judging.machine import this_machine

_CODES: Final[dict[Verdict, int]] = {"yes": 0, "no": FAILED, "unknown": REFUSED}
_KEY, _LIVE_KEY = "GATE_API_KEY", "GATE_LIVE_API_KEY"
_QUALITY: Final = "Quality"
_LOAD: Final = "Load"


def gate_version(
    candidate: Annotated[
        str,
        Argument(
            help="What wants to go live: NAME or NAME:VERSION, or FOLDER/NAME of another repository, and behind it "
            "perhaps @int8 or the like; or the address of a running service, http://host:port/NAME:VERSION. A service "
            f"that asks for a key gets the one of the variable {_KEY}.",
            metavar="CANDIDATE",
            show_default=False,
        ),
    ],
    against: Annotated[
        str,
        Option(
            help=f"What is live, said in the same ways; the key of its service may be in {_LIVE_KEY}.",
            metavar="LIVE",
            show_default=False,
        ),
    ],
    repository: Annotated[Path, Option(help="The model repository.")] = Path("my_models"),
    cases: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Files that must be answered as cases.yaml in that folder says.",
            show_default="some that come along",
        ),
    ] = None,
    photos: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="A folder of pictures to send to both, better with their classes: labels.csv, or a folder a class.",
            show_default="quality is not looked at",
        ),
    ] = None,
    budget: Annotated[
        float, Option(help="Points of top-1, and of top-5, that the candidate may lose.", rich_help_panel=_QUALITY)
    ] = quality.BUDGET,
    min_agreement: Annotated[
        float | None,
        Option(
            help="The least share of photos, from 0 to 1, whose first label is the same.",
            show_default=f"{quality.MIN_AGREEMENT:g}, if no classes are known",
            rich_help_panel=_QUALITY,
        ),
    ] = None,
    accept_undecided: Annotated[
        bool,
        Option(
            "--accept-undecided",
            help="Count as met what the photos cannot decide; the sentence says so.",
            rich_help_panel=_QUALITY,
        ),
    ] = False,
    frequency: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="How often what is sent: a CSV file of file,count or label,count, or /metrics of the live service.",
            show_default="each photo counts once",
            rich_help_panel=_QUALITY,
        ),
    ] = None,
    judged: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="What people said in topfive judge: judged.jsonl in the folder of a report.",
            rich_help_panel=_QUALITY,
        ),
    ] = None,
    slo: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="Objectives of load and memory, slo.yaml.",
            show_default="only the live version is held against it",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    quick: Annotated[
        bool,
        Option("--quick", help="Put both under load for two minutes instead of ten.", rich_help_panel=_LOAD),
    ] = False,
    no_load: Annotated[
        bool, Option("--no-load", help="Leave load, memory and start-up out.", rich_help_panel=_LOAD)
    ] = False,
    cores: Annotated[
        int, Option(help="Cores of each server that is started.", min=0, show_default="all that may be used")
    ] = 0,
    report: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="Write gate.html, gate.md, gate.json and junit.xml into this folder, and baseline.json for drift.",
        ),
    ] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of text.")] = False,
    no_log: NoLog = False,
) -> int:
    """Say whether a version may go live in place of another, and show why.

    Both answer over HTTP, as their clients meet them: the real server is started for a version of a repository. What
    cannot be told is unknown, and never counts as met.

    Exit code: 0 yes; 1 no; 2 unknown, or the gate could not be held.
    """
    _check(budget, min_agreement)
    if quick and no_load:
        raise ConfigurationError("--quick and --no-load exclude each other; take one of the two out")
    if report is not None or not no_load:
        check_can_draw()
    if report is not None:
        check_can_write(report)
    key = variable(_KEY) or ""
    both = competing(
        Wanted(candidate=candidate, live=against, repository=repository, api_keys=(key, variable(_LIVE_KEY) or key))
    )
    asked = Asked(
        cases=cases,
        photos=photos,
        limits=quality.Limits(budget, min_agreement, accept_undecided),
        frequency=frequency,
        judged=judged,
        load="none" if no_load else "quick" if quick else "full",
        slo=slo,
    )
    inputs = read(asked, both)
    screen = Screen(quiet=as_json)
    began = time.monotonic()
    with screen.working() as progress, started(both, progress, cores=cores) as pair:
        plan = planned(asked, inputs, pair)
        chapters = tuple(gate.run(plan.parts, progress))
    told = Gated(
        candidate=pair.candidate.title,
        live=pair.live.title,
        chapters=chapters,
        left_out=plan.left_out,
        machine=this_machine(cores=cores),
        seconds=time.monotonic() - began,
    )
    if as_json:
        print_json(told.as_json())
    show(told, screen)
    if report is not None:
        written = write(told, report)
        if plan.answers is not None and (found := plan.answers.found) is not None:
            written.append(side_by_side.write(report, found))
            origin = Origin(source=f"the photos of a gate: {photos}", version=str(pair.candidate.version))
            written += beside_report(report, found.photos, found.candidate, origin)
        screen.say(f"\nwritten: {escape(', '.join(map(str, written)))}")
    params: dict[str, object] = {
        "cases": cases,
        "photos": photos,
        "budget": budget,
        "min_agreement": min_agreement,
        "accept_undecided": accept_undecided,
        "frequency": frequency,
        "judged": judged,
        "slo": slo,
        "load": asked.load,
        "cores": cores,
    }
    held = Held(told=told, pair=pair, both=both, photos=inputs.photos, params=params, report=report)
    finish(Log("gate", wanted=not no_log), screen, lambda: [of_gate(held)])
    return _CODES[told.verdict]


def _check(budget: float, min_agreement: float | None) -> None:
    """Raise `ConfigurationError` if a limit means nothing."""
    if not 0 <= budget <= 100:
        raise ConfigurationError(f"--budget {budget:g}: say points from 0 to 100, as 0.5")
    if min_agreement is not None and not 0 <= min_agreement <= 1:
        raise ConfigurationError(f"--min-agreement {min_agreement:g}: say a share from 0 to 1, as 0.95")


def main(arguments: Sequence[str]) -> int:
    """Run `topfive gate` with `arguments`; return its exit code."""
    return run(gate_version, "gate", arguments)
