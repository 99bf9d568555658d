"""The commands: `python -m loadtests run | find-capacity | gate | report | history | page`. See docs/load-tests.md.

Exit codes: 0 for PASS, 1 for FAIL, 2 for INVALID or a bad option.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from typer import Argument, Context, Option

from loadtests import history, progress, report, results, run, run_plan, target
from loadtests import options as o
from loadtests.liveness import PATIENCE_SECONDS
from loadtests.oracle import NoOracle
from loadtests.profiles import quickened
from loadtests.results import MIXES, Run, UnreadableRun
from loadtests.run_plan import NoPlan, RunPlan
from loadtests.slo import judge
from loadtests.target import NoTarget
from loadtests.windows import Rule
from topfive_loadgen.cli import UNKNOWN, Commands, given
from topfive_loadgen.objectives import BadObjectives, Objectives
from topfive_loadgen.objectives import load as load_objectives
from topfive_loadgen.photos import NoPhotos
from topfive_loadgen.verdict import Verdict

GOOD = 0
_HERE: Final = Path(__file__).resolve().parent
_RULE: Final = Rule()


class Unwritable(Exception):
    """The folder for the results cannot be written."""


_CAPACITY: Final = "The highest rate at which p99 is within an objective; 2 if what was found is INVALID."
_NOTHING_ELSE: Final[dict[str, Any]] = {
    "workers": run_plan.WORKERS,
    "mixes": (),
    "processes": 1,
    "warm_up": _RULE.warm_up_seconds,
    "window": _RULE.window_seconds,
    "windows_most": _RULE.windows_most,
    "shapes": (),
    "rates": (),
    "rate_seconds": 20.0,
    "quick": False,
}
_RESULTS: Final = Path("results")
_URL: Final = "http://127.0.0.1:8000"


def measure(
    context: Context,
    url: o.Url = _URL,
    name: o.Name = "",
    model: o.Model = run_plan.MODEL,
    model_repository: o.Repository = run_plan.REPOSITORY,
    photos: o.Photos = None,
    scenarios: o.Scenarios = (),
    grpc: o.Grpc = "",
    metrics_url: o.MetricsUrl = "",
    pid: o.Pid = None,
    seed: o.Seed = 1,
    no_null: o.NoNull = False,
    marks_port: o.MarksPort = None,
    workers: o.Workers = run_plan.WORKERS,
    mixes: o.Mixes = MIXES,
    processes: Annotated[int, Option(min=1, metavar="N", help="how many processes Locust uses")] = 1,
    warm_up: Annotated[float, Option(metavar="S", help="seconds of load before the windows")] = _RULE.warm_up_seconds,
    window: Annotated[float, Option(metavar="S", help="seconds of each window")] = _RULE.window_seconds,
    windows_most: Annotated[
        int, Option(min=1, metavar="N", help="most windows, if no three agree")
    ] = _RULE.windows_most,
    shapes: o.Shapes = (),
    rates: o.Rates = (),
    rate_seconds: Annotated[float, Option(metavar="S", help="seconds of each open loop")] = 20.0,
    p99_ms: o.Objectives = (100.0, 50.0),
    open_mixes: o.OpenMixes = ("random",),
    output: o.Output = _RESULTS,
    baseline: o.Baseline = None,
    slo: o.Slo = None,
    patience: o.Patience = PATIENCE_SECONDS,
    quick: o.Quick = False,
) -> int:
    """Measure everything, write the report, and judge it if there are objectives. Seven to twelve minutes.

    It measures latency and throughput of closed loops with more and more workers, on photos and on the worst legal
    images; the highest rate of an open loop whose p99 meets each objective; the server's CPU, memory, batches, stages.
    With --quick it takes less than two minutes: 1 and 8 workers, one rate, shorter windows, and no search. A server
    that dies, hangs, restarts or turns not ready ends the run as INVALID (exit code 2), with what was measured by then.
    """
    options = {name: value for name, value in locals().items() if name != "context"}
    return _measured(**(quickened(options, given=_given(context)) if quick else options))


def gate(
    run: o.Stored, slo: Annotated[Path, Option(metavar="FILE", help="the objectives")] = _HERE / "slo.yaml"
) -> int:
    """Judge a stored run: 0 PASS, 1 FAIL, 2 INVALID."""
    verdict = judge(results.load(run), load_objectives(slo))
    print(report.markdown.verdict(verdict))
    return verdict.exit_code


def report_again(run: o.Stored, output: o.Output = _RESULTS, baseline: o.Baseline = None, slo: o.Slo = None) -> int:
    """Write the report of a stored run again, optionally compared with another run."""
    found = results.load(run)
    objectives = load_objectives(slo) if slo else None
    verdict = judge(found, objectives) if objectives else None
    _write(found, _writable(output), baseline=_stored(baseline), verdict=verdict, objectives=objectives)
    return GOOD


def history_of(
    folder: Annotated[Path, Argument(metavar="DIR", help="a folder with stored runs, also in folders within it")],
    output: o.Output = _RESULTS,
) -> int:
    """Draw the history of all stored runs in a folder: throughput and p99 of each cell over time, with the noise."""
    found = history.find(folder)
    if not found:
        raise UnreadableRun(f"{folder} holds no stored run (run.json): name the folder that --output wrote to")
    print(report.chronicle.markdown(found))
    for path in report.chronicle.write(found, _writable(output)):
        _say(f"written: {path}")
    return GOOD


def page(context: Context) -> int:
    """Start Locust with its own web page; all further arguments go to Locust."""
    command = [sys.executable, "-m", "locust", "--locustfile", str(_HERE / "locustfile.py"), *context.args]
    os.execv(sys.executable, command)  # noqa: S606  # its own program, as a person would start it


def _measured(**of: Any) -> int:
    """Measure with the options of `measure`; return the exit code."""
    aim = target.find(of["url"], model=of["model"], metrics_url=of["metrics_url"], grpc=of["grpc"])
    aim.check(of["scenarios"])
    plan = RunPlan(
        workers=of["workers"],
        mixes=of["mixes"],
        scenarios=of["scenarios"] or aim.scenarios,
        processes=of["processes"],
        rule=Rule(warm_up_seconds=of["warm_up"], window_seconds=of["window"], windows_most=of["windows_most"]),
        null=not of["no_null"],
        shapes=of["shapes"],
        open_rates=of["rates"],
        open_seconds=of["rate_seconds"],
        capacity_p99_seconds=[one / 1e3 for one in of["p99_ms"]],
        open_mixes=of["open_mixes"],
        photos=of["photos"],
        repository=of["model_repository"],
        model=of["model"],
        seed=of["seed"],
    )
    objectives = load_objectives(of["slo"]) if of["slo"] else None
    baseline = _stored(of["baseline"])
    folder = _writable(of["output"])
    name = of["name"] or aim.name
    asked = run.Asked(name=name, marks_port=of["marks_port"], pid=of["pid"], patience_seconds=of["patience"])
    ahead = progress.steps(plan)
    with progress.Progress(ahead, sys.stderr) as telling:
        quicker = " (a quick look: --quick)" if plan.mixes and not of["quick"] else ""
        telling.say(f"{aim.url}: {len(ahead)} steps, {progress.total(ahead)}{quicker}")
        found = run.run(aim, plan, asked, telling)
    results.save(found, folder / "run.json")  # first, because measuring took so long
    verdict = judge(found, objectives) if objectives else None
    _write(found, folder, baseline=baseline, verdict=verdict, objectives=objectives)
    if verdict:
        return verdict.exit_code
    return UNKNOWN if found.faults or any(one.faults for one in found.capacities) else GOOD


def _given(context: Context) -> frozenset[str]:
    """The names of the options that were given on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return frozenset(name for name, source in sources.items() if source and source.name == "COMMANDLINE")


def _stored(path: Path | None) -> Run | None:
    return results.load(path) if path else None


def _write(
    found: Run, folder: Path, *, baseline: Run | None, verdict: Verdict | None, objectives: Objectives | None
) -> None:
    print(report.markdown.render(found, baseline=baseline, verdict=verdict))
    for path in report.write(found, folder, baseline=baseline, verdict=verdict, objectives=objectives):
        _say(f"written: {path}")


def _writable(folder: Path) -> Path:
    """Make the folder for results before measuring; raises `Unwritable`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise Unwritable(f"results cannot be written to {folder} ({error}): name another with --output") from error


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _interrupt(*_: object) -> None:
    """Let `docker stop` end a run as Ctrl-C does: with a report of what was measured so far."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    commands = Commands("loadtests", about="Load tests of a server that runs: measure, judge, report.")
    named: dict[str, Callable[..., int]] = {
        "run": measure,
        "find-capacity": given(measure, about=_CAPACITY, **_NOTHING_ELSE),
        "gate": gate,
        "report": report_again,
        "history": history_of,
    }
    for name, function in named.items():
        commands.add(function, name)
    passed_on = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
    commands.add(page, "page", context_settings=passed_on)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return commands.run(arguments)
    except (BadObjectives, NoOracle, NoPhotos, NoPlan, NoTarget, UnreadableRun, Unwritable) as error:
        print(error, file=sys.stderr)
        return UNKNOWN


if __name__ == "__main__":
    sys.exit(main())
