"""`topfive plan`: how many servers a traffic takes, by a simulation with costs that were measured here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from rich.markup import escape
from typer import Argument, Option

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.commands.durations import seconds_of
from topfive_pipeline.commands.running import FAILED, run
from topfive_pipeline.commands.screen import Screen, print_json
from topfive_pipeline.judging.documents import check_can_draw, check_can_write
from topfive_pipeline.planning import contents, traces
from topfive_pipeline.planning import costs as cost_files
from topfive_pipeline.planning.calibrating import Wanted, calibrate
from topfive_pipeline.planning.contents import Prices
from topfive_pipeline.planning.costs import Costs
from topfive_pipeline.planning.fleet import Policy
from topfive_pipeline.planning.mixes import mix_of, rate_of
from topfive_pipeline.planning.planner import Demand, Told, batch_limits, plan, with_cores
from topfive_pipeline.planning.reports import write
from topfive_pipeline.proof.photos import read_photos, shipped
from topfive_pipeline.under_load import images
from topfive_pipeline.under_load import latency_objective as objectives
from topfive_pipeline.under_load.latency_objective import Objective


def plan_fleet(
    model: Annotated[
        str, Argument(help="The model, as clients call it; not needed with --costs.", metavar="[NAME]")
    ] = "",
    rate: Annotated[
        str, Option(help="Images a second, minute or hour: 2000/s, 1e6/h.", show_default="the trace's")
    ] = "",
    trace: Annotated[
        Path | None,
        Option(
            help="Traffic as it was: topfive's log in JSON, nginx' in the format of deploy/nginx.conf, or combined."
        ),
    ] = None,
    objective: Annotated[
        str, Option(help="p99:50ms: 99 % of the answers come within 50 ms; several with commas between them.")
    ] = "p99:50ms",
    mix: Annotated[
        str,
        Option(help="How images are sent, and their shares: jpeg:80%,224x224:20%. Kinds: jpeg, mixed, HEIGHTxWIDTH."),
    ] = images.JPEG,
    photos: Annotated[
        Path | None,
        Option(
            help=f"A folder of pictures like the clients', {images.MOST} of them.", show_default="a few that come along"
        ),
    ] = None,
    repository: Annotated[Path, Option(help="The model repository.")] = Path("my_models"),
    cores: Annotated[int, Option(help="Cores of the server that is measured.", min=0, show_default="all")] = 0,
    pod_cores: Annotated[
        str, Option(help="Cores of a server, several with commas: 2,4,8.", show_default="as measured")
    ] = "",
    costs: Annotated[
        list[Path] | None,
        Option(help="Costs that --save-costs wrote, of another machine too; then nothing is measured."),
    ] = None,
    save_costs: Annotated[Path | None, Option(metavar="FILE", help="Keep what was measured, as JSON.")] = None,
    time: Annotated[str, Option(help="How long to measure, about.")] = "60s",
    balancer: Annotated[Policy, Option(help="How requests are spread over servers.")] = "least_conn",
    headroom: Annotated[
        float, Option(help="Percent of the rate that the servers must bear beyond it.", min=0, max=500)
    ] = 20.0,
    front_ends: Annotated[
        float, Option(help="Servers for each GPU, with costs that are on one.", min=0.01, metavar="N")
    ] = 4.0,
    core_price: Annotated[float, Option(help="Of a core for an hour.", min=0)] = 0.0,
    gpu_price: Annotated[float, Option(help="Of a GPU for an hour.", min=0)] = 0.0,
    report: Annotated[
        Path | None, Option(metavar="DIR", help="Write report.html, report.md and plan.json into this folder.")
    ] = None,
    as_json: Annotated[bool, Option("--json", help="One JSON document instead of tables.")] = False,
) -> int:
    """Say how many servers a traffic takes, what they cost, and what a lost one or a rollout does to the latency.

    What an image costs is measured on this machine, by stage and on the real server. A simulation then runs the
    service's own batching in virtual time. Nothing is changed.

    Exit code: 0 planned; 1 no number of servers holds the objective; 2 it cannot be planned.
    """
    wanted = objectives.parsed(objective)
    if not wanted.limits:
        raise ConfigurationError(f"--objective {objective}: a plan needs a latency, as p99:50ms")
    if bool(model) == bool(costs):
        raise ConfigurationError("say the NAME of a model, which is measured here, or --costs of one that was measured")
    if report is not None:
        check_can_draw()
        check_can_write(report)
    kinds, numbers = mix_of(mix), _numbers(pod_cores)
    demand = replace(_demand(rate, trace, wanted), policy=balancer, headroom=headroom / 100)
    screen = Screen(quiet=as_json)
    with screen.working() as progress:
        if costs:
            known = [cost_files.read(path) for path in costs]
        else:
            pictures = shipped() if photos is None else read_photos(photos, most=images.MOST)
            measured = Wanted(model=model, repository=repository, mix=kinds, cores=cores, seconds=seconds_of(time))
            known = [calibrate(measured, pictures, progress=progress)]
        if save_costs is not None:
            cost_files.write(known[0], save_costs)
        told = plan(demand, _candidates(known, numbers), gpus_for=front_ends, progress=progress)
    prices = Prices(core=core_price, gpu=gpu_price)
    if as_json:
        print_json(contents.to_dict(told, prices))
    _show(told, prices, screen)
    if report is not None:
        screen.say(f"\nwritten: {escape(', '.join(map(str, write(told, prices, report))))}")
    return 0 if told.chosen is not None else FAILED


def _demand(rate: str, trace: Path | None, objective: Objective) -> Demand:
    """The traffic that is said, or was logged, at the rate that is said or, without one, as it was."""
    if not rate and trace is None:
        raise ConfigurationError("what is the traffic? Say --rate 2000/s, or --trace access.log")
    traffic = None if trace is None else traces.read(trace)
    asked = rate_of(rate) if rate else 0.0
    return Demand(rate=asked or (0.0 if traffic is None else traffic.rate), objective=objective, trace=traffic)


def _show(told: Told, prices: Prices, screen: Screen) -> None:
    for section in contents.sections(told, prices):
        screen.say("")
        for table in section.tables:
            screen.table(section.title, table.columns, table.rows)
        for note in (section.lead, *section.notes):
            screen.say(f"[dim]{escape(note)}[/]")
    screen.say(f"\n[bold]{escape(contents.summary(told))}.[/]")


def main(arguments: Sequence[str]) -> int:
    """Run `topfive plan` with `arguments`; return its exit code."""
    return run(plan_fleet, "plan", arguments)


def _numbers(pod_cores: str) -> list[int]:
    """The numbers of cores that are said; none for the measured one."""
    try:
        numbers = [int(number) for number in pod_cores.split(",") if number.strip()]
    except ValueError as error:
        raise ConfigurationError(f"--pod-cores {pod_cores}: say numbers with commas between them: 2,4,8") from error
    if any(number < 1 for number in numbers):
        raise ConfigurationError(f"--pod-cores {pod_cores}: a server has 1 core at least")
    return numbers


def _candidates(known: Sequence[Costs], numbers: Sequence[int]) -> list[Costs]:
    """Servers of each of the costs, with each number of cores, and each limit of their batches."""
    sized = [with_cores(costs, number) for costs in known for number in numbers or [costs.cores]]
    return [limited for costs in sized for limited in batch_limits(costs)]
