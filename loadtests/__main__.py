"""The commands: `python -m loadtests run | find-capacity | gate | report | page`. See docs/load-tests.md.

What lives here: the command line, and exit codes. 0 is good, 1 is bad, 2 says that nothing can be said.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from loadtests import queries, report, results, run, run_plan, shapes, slo, target
from loadtests.corpus import NoPhotos
from loadtests.objectives import BadObjectives
from loadtests.oracle import NoOracle
from loadtests.results import MIXES, Run, UnreadableRun
from loadtests.run_plan import NoPlan, RunPlan
from loadtests.target import NoTarget, Target
from loadtests.windows import Rule

GOOD, BAD, UNKNOWN = 0, 1, 2
RESULTS: Final = Path("results")
_HERE: Final = Path(__file__).resolve().parent
_RULE: Final = Rule()

One = TypeVar("One")


class Unwritable(Exception):
    """There is no place for the results."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = _parser()
    options, others = parser.parse_known_args(arguments)
    if others and options.command is not _page:
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    options.others = others
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code: int = options.command(options)
    except (BadObjectives, NoOracle, NoPhotos, NoPlan, NoTarget, UnreadableRun, Unwritable) as error:
        print(error, file=sys.stderr)
        return UNKNOWN
    return code


def _interrupt(*_: object) -> None:
    """`docker stop` ends a run as the keyboard does: with a report of what there is."""
    raise KeyboardInterrupt


def _run(options: argparse.Namespace) -> int:
    """Measure, write the report, and judge it if there are objectives."""
    rule = Rule(warm_up_seconds=options.warm_up, window_seconds=options.window, windows_most=options.windows_most)
    return _measured(
        options,
        workers=options.workers,
        mixes=options.mixes,
        processes=options.processes,
        rule=rule,
        shapes=options.shapes,
        open_rates=options.rates,
        open_seconds=options.rate_seconds,
    )


def _find_capacity(options: argparse.Namespace) -> int:
    """The highest rate that meets an objective, and nothing else; 2 if what was found is INVALID."""
    return _measured(options, mixes=())


def _measured(options: argparse.Namespace, **of_the_command: Any) -> int:
    """By the options that both commands have, and those that only one has."""
    aim = _target(options)
    plan = RunPlan(
        scenarios=options.scenarios or aim.scenarios,
        null=not options.no_null,
        capacity_p99_seconds=[one / 1e3 for one in options.p99_ms],
        open_mixes=options.open_mixes,
        photos=options.photos,
        repository=options.model_repository,
        model=options.model,
        seed=options.seed,
        **of_the_command,
    )
    objectives = slo.load(options.slo) if options.slo else None
    baseline = results.load(options.baseline) if options.baseline else None
    folder = _writable(options.output)
    found = run.run(aim, plan, name=options.name or aim.name, marks_port=options.marks_port, pid=options.pid, say=_say)
    results.save(found, folder / "run.json")  # before anything else is done with what took so long
    verdict = slo.judge(found, objectives) if objectives else None
    _write(found, folder, baseline=baseline, verdict=verdict)
    if verdict:
        return verdict.exit_code
    return UNKNOWN if found.faults or any(one.faults for one in found.capacities) else GOOD


def _gate(options: argparse.Namespace) -> int:
    """Judge a stored run."""
    verdict = slo.judge(results.load(options.run), slo.load(options.slo))
    print(report.markdown.verdict(verdict))
    return verdict.exit_code


def _report(options: argparse.Namespace) -> int:
    """Write the report of a stored run anew, perhaps beside another."""
    verdict = slo.judge(results.load(options.run), slo.load(options.slo)) if options.slo else None
    baseline = results.load(options.baseline) if options.baseline else None
    _write(results.load(options.run), _writable(options.output), baseline=baseline, verdict=verdict)
    return GOOD


def _page(options: argparse.Namespace) -> int:
    """Become Locust, with its page; what it does not know itself it is told on."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(_HERE / "locustfile.py"), *options.others]
    os.execv(sys.executable, command)  # noqa: S606  # its own program, as a person would start it


def _write(found: Run, folder: Path, *, baseline: Run | None, verdict: slo.Verdict | None) -> None:
    print(report.markdown.render(found, baseline=baseline, verdict=verdict))
    for path in report.write(found, folder, baseline=baseline, verdict=verdict):
        _say(f"written: {path}")


def _writable(folder: Path) -> Path:
    """The folder for results, which is there after this; before minutes are spent on what could not be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise Unwritable(f"results cannot be written to {folder} ({error}): name another with --output") from error


def _target(options: argparse.Namespace) -> Target:
    found = target.find(options.url, model=options.model, metrics_url=options.metrics_url, grpc=options.grpc)
    found.check(options.scenarios)
    return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _list_of(read: Callable[[str], One], allowed: Sequence[One] | None = None) -> Callable[[str], list[One]]:
    """A reader of `a,b,c`."""

    def parse(text: str) -> list[One]:
        try:
            found = [read(one) for one in text.split(",") if one]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error
        wrong = [one for one in found if allowed is not None and one not in allowed]
        if wrong:
            raise argparse.ArgumentTypeError(f"{wrong[0]!r} is none of {', '.join(map(str, allowed or ()))}")
        return found

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtests", description=__doc__.partition(":")[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    measure = commands.add_parser("run", help="measure everything, and write the report")
    measure.set_defaults(command=_run)
    _add_target(measure)
    add = measure.add_argument
    add(
        "--workers", type=_list_of(_positive), default=list(run_plan.WORKERS), metavar="N,N", help="default: 1,2,4,8,16"
    )
    add("--mixes", type=_list_of(str, MIXES), default=list(MIXES), metavar="MIX,MIX", help="random,complex")
    add("--processes", type=_positive, default=1, metavar="N", help="of Locust, for real worker processes")
    add("--warm-up", type=float, default=_RULE.warm_up_seconds, metavar="S", help="before the windows")
    add("--window", type=float, default=_RULE.window_seconds, metavar="S", help="length of a window")
    add("--windows-most", type=_positive, default=_RULE.windows_most, metavar="N", help="until three agree, at most")
    add("--shapes", type=_list_of(str, [*shapes.SHAPES]), default=[], metavar="SHAPE", help="spike,soak,ramp too")
    add("--rates", type=_list_of(float), default=[], metavar="N,N", help="open loops at these requests per second too")
    add("--rate-seconds", type=float, default=20.0, metavar="S", help="how long each of them lasts")
    _add_open(measure)
    _add_judging(measure)

    search = commands.add_parser("find-capacity", help="the highest rate at which p99 is within an objective")
    search.set_defaults(command=_find_capacity)
    _add_target(search)
    _add_open(search)
    _add_judging(search)

    gate = commands.add_parser("gate", help="judge a stored run: 0 PASS, 1 FAIL, 2 INVALID")
    gate.set_defaults(command=_gate)
    gate.add_argument("run", type=Path, help="a run.json")
    gate.add_argument("--slo", type=Path, default=_HERE / "slo.yaml", metavar="FILE", help="the objectives")

    again = commands.add_parser("report", help="write the report of a stored run anew")
    again.set_defaults(command=_report)
    again.add_argument("run", type=Path, help="a run.json")
    _add_judging(again)

    page = commands.add_parser("page", add_help=False, help="Locust's own page; what follows is for Locust")
    page.set_defaults(command=_page)
    return parser


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError("at least 1")
    return value


def _add_target(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--url", default="http://127.0.0.1:8000", help="any server of the Open Inference Protocol")
    add("--name", default="", help="of the run, in comparisons (default: what the server calls itself)")
    add("--model", default=run_plan.MODEL, help="the model to ask")
    add(
        "--model-repository",
        type=Path,
        default=run_plan.REPOSITORY,
        metavar="DIR",
        help="its graphs: they say what is right",
    )
    add("--photos", type=Path, metavar="DIR", help="JPEG files to send (default: photos of installed packages)")
    add(
        "--scenarios",
        type=_list_of(str, queries.SCENARIOS),
        default=[],
        metavar="HOW",
        help="of raw,jpeg,oip; or grpc alone (default: all that the server speaks over HTTP)",
    )
    add("--grpc", default="", metavar="HOST:PORT", help="where its gRPC is")
    add("--metrics-url", default="", metavar="URL", help="its metrics (default: /metrics)")
    add("--pid", type=int, help="of a server on this machine that does not tell its CPU and memory")
    add("--seed", type=int, default=1, help="of everything that is drawn")
    add("--no-null", action="store_true", help="leave the generators' own limits unmeasured")
    add("--marks-port", type=int, metavar="PORT", help="tell Prometheus there what is being measured")


def _add_open(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--p99-ms", type=_list_of(float), default=[100.0, 50.0], metavar="MS,MS", help="search capacities at these")
    add("--open-mixes", type=_list_of(str, MIXES), default=["random"], metavar="MIX,MIX", help="of the open loops")


def _add_judging(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--output", type=Path, default=RESULTS, metavar="DIR", help=f"for the report (default: {RESULTS})")
    add("--baseline", type=Path, metavar="FILE", help="an earlier run.json to compare with")
    add("--slo", type=Path, metavar="FILE", help="objectives: judge it, and exit with 1 if it misses one")


if __name__ == "__main__":
    sys.exit(main())
