"""Compares the engines that can run one repository: `python -m benchmarks engines`.

A service for each engine and precision serves a copy of the repository whose classifier asks for it. Windows of all of
them alternate, while the others sleep; each ratio compares windows of one round, one kind of input and one number of
connections. The first is ONNX Runtime in FP32.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
from typer import Option

from benchmarks import answers, machine, report, workloads
from benchmarks import figures as f
from benchmarks import options as o
from benchmarks.bench import client_figures
from benchmarks.figures import Window
from benchmarks.server import Service
from topfive.machine.cpu_features import multiplies_bfloat16
from topfive_loadgen import tables
from topfive_loadgen.asking import ask
from topfive_loadgen.closed_loop import drive
from topfive_loadgen.metrics import Difference

AS_WRITTEN: Final = ("--precision", "fp32")
"""Each variant is the one graph, model.onnx, whatever it computes in; none that may lie beside it."""
AGREES = "first labels agree"
"""The share of answers whose first label is the first engine's, or is as likely to it."""
NOTE: Final = (
    "Medians over the rounds, and the quartiles of the ratios; each ratio is to the first engine, of windows of one "
    "round. Times in ms: latencies as the client sees them, CPU (user and system) per image. Agreement: the share of "
    "answers with the first engine's label, or one that is as likely to it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What runs the classifier: `accelerator` is what its config.pbtxt says of it; `graph`, if given, replaces it."""

    name: str
    accelerator: str = ""
    graph: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginesPlan:
    """What to measure, and for how long; `scenarios` are kinds of input."""

    scenarios: Sequence[str]
    connections: Sequence[int]
    rounds: int
    warm_seconds: float
    window_seconds: float


def variants(quantised: Path | None, *, bfloat16: bool) -> list[Variant]:
    """All that this machine can run: `quantised` is a further graph of the classifier, in INT8."""
    openvino = 'name: "openvino"'
    precisions = {"fp32": openvino, "bf16": f'{openvino} parameters {{ key: "precision" value: "bf16" }}'}
    found = [Variant(name="onnxruntime fp32")]
    found += [Variant(name=f"openvino {name}", accelerator=text) for name, text in precisions.items()][: 1 + bfloat16]
    if quantised:
        found += [
            Variant(name="onnxruntime int8", graph=quantised),
            Variant(name="openvino int8", accelerator=openvino, graph=quantised),
        ]
    return found


def written(folder: Path, source: Path, classifier: str, variant: Variant) -> Path:
    """A copy of the repository `source` in `folder`, whose model `classifier` runs as `variant` says."""
    repository = folder / variant.name.replace(" ", "_")
    shutil.copytree(source, repository)
    config = repository / classifier / "config.pbtxt"
    if variant.accelerator:
        with config.open("a") as file:
            file.write(
                "\noptimization { execution_accelerators { cpu_execution_accelerator "
                f"{{ {variant.accelerator} }} }} }}\n"
            )
    if variant.graph:
        newest = max((each for each in config.parent.iterdir() if each.name.isdigit()), key=lambda each: int(each.name))
        shutil.copyfile(variant.graph, newest / "model.onnx")
    return repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Requests of one kind, and for each the classes that are right first."""

    requests: Sequence[bytes]
    right: Sequence[frozenset[int]]


def run(plan: EnginesPlan, services: Mapping[str, Service], inputs: Mapping[str, Input]) -> Iterator[Window]:
    """All windows of all rounds; the order of the engines changes from window to window."""
    names, turn = list(services), 0
    for number in range(plan.rounds):
        for scenario in plan.scenarios:
            for connections in plan.connections:
                first = turn % len(names)
                for name in (*names[first:], *names[:first]):
                    values = _measure(plan, services[name], inputs[scenario], connections=connections)
                    yield Window(number, f"{scenario} {name}", connections, values)
                turn += 1


def _measure(plan: EnginesPlan, service: Service, given: Input, *, connections: int) -> dict[str, float]:
    before = service.metrics()
    load = drive(
        service.http_url,
        given.requests,
        connections=connections,
        warm_seconds=plan.warm_seconds,
        window_seconds=plan.window_seconds,
        meters=(service.cpu_seconds, machine.busy_seconds),
    )
    agree = [workloads.is_right(one.response, given.right[one.request]) for one in load.exchanges]
    failed = sum(one.response.status != answers.OK for one in load.exchanges)
    batch = Difference(before, service.metrics()).mean("topfive_batch_size")
    found = {**client_figures(load, wrong=failed), AGREES: statistics.mean(agree)}
    return found if batch is None else {**found, f.BATCH: batch}


def ratios(windows: Sequence[Window], figure: str, place: tuple[str, str, int]) -> tuple[float, float, float]:
    """Quartiles and median (low, median, high) over the rounds of `figure`, divided by the first engine's.

    `place`: kind of input, engine, and number of connections.
    """
    scenario, name, connections = place
    first = f"{scenario} {windows[0].scenario.partition(' ')[2]}"  # the order changes from window to window
    found = {(each.round, each.scenario): each.values[figure] for each in windows if each.setting == connections}
    own = [found[number, f"{scenario} {name}"] / found[number, first] for number in sorted({key for key, _ in found})]
    low, middle, high = np.quantile(own, (0.25, 0.5, 0.75)).tolist()
    return low, middle, high


def markdown(windows: Sequence[Window], environment: Mapping[str, object]) -> str:
    """The whole result as Markdown."""
    measured = f.figures(windows)
    shown = (f.IMAGES, "p50", "p99", f.CPU, f.BATCH, AGREES, f.BYSTANDER)
    places: dict[tuple[str, str, int], None] = {}
    for each in windows:
        scenario, _, name = each.scenario.partition(" ")
        assert isinstance(each.setting, int)
        places[scenario, name, each.setting] = None
    first = windows[0].scenario.partition(" ")[2]
    lines: list[Sequence[str]] = [("input", "connections", "engine", f"÷ {first}", "its p50", *shown)]
    for scenario, name, connections in sorted(places, key=lambda place: (_order(places, place[0]), place[2])):
        place = (scenario, name, connections)
        compared = [_spread(ratios(windows, figure, place)) for figure in (f.IMAGES, "p50")]
        values = [measured.get(f.Figure(one, f"{scenario} {name}", connections)) for one in shown]
        lines.append((scenario, str(connections), name, *compared, *map(tables.number, values)))
    return "\n\n".join(
        [
            "## The engines, one against the other",
            ", ".join(f"{key} {value}" for key, value in environment.items() if not isinstance(value, dict)),
            tables.markdown(tables.of(lines)),
            NOTE,
        ]
    )


def _order(places: Iterable[tuple[str, str, int]], scenario: str) -> int:
    return list(dict.fromkeys(each for each, *_ in places)).index(scenario)


def _spread(found: tuple[float, float, float]) -> str:
    low, middle, high = found
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def int8_beside(repository: Path, classifier: str) -> Path | None:
    """The int8 graph that lies beside the newest graph of `classifier`, if there is one."""
    return max(repository.glob(f"{classifier}/[0-9]*/model.int8.onnx"), default=None)


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    scenario: Annotated[
        list[str], Option(metavar="KIND", help=f"what is sent: {', '.join(workloads.SCENARIOS)}; may be repeated")
    ] = [*workloads.SCENARIOS],  # noqa: B006  # typer only reads it
    quantised: Annotated[
        Path | None,
        Option(
            metavar="FILE",
            help="the classifier's graph in INT8, to compare too on both engines (default: the one beside its own)",
        ),
    ] = None,
    connections: o.ConnectionCounts = (1, 8, 16),
    rounds: o.Rounds = 5,
    window: Annotated[float, Option(metavar="SECONDS", help="how long each number of connections runs")] = 1.25,
    quick: o.Quick = False,
    json: o.Json = None,
    check: Annotated[bool, Option("--check", help="exit code 2 if the run is invalid")] = False,
) -> int:
    """Compare ONNX Runtime and OpenVINO, in each precision that this processor has, behind the service, in turns."""
    if unknown := set(scenario) - set(workloads.SCENARIOS):
        raise SystemExit(f"--scenario: there is no {', '.join(sorted(unknown))}; say {', '.join(workloads.SCENARIOS)}")
    plan = EnginesPlan(
        scenarios=scenario,
        connections=connections,
        rounds=1 if quick else rounds,
        warm_seconds=0.1 if quick else 0.35,
        window_seconds=0.3 if quick else window,
    )
    began = time.monotonic()
    requests = {name: [*map(workloads.request, workloads.load(images)[name])] for name in scenario}
    classifier = f"{model}_classify"
    windows = []
    int8_graph = quantised or int8_beside(model_repository, classifier)
    with tempfile.TemporaryDirectory(prefix="topfive-engines-") as folder, ExitStack() as stack:
        services = {
            variant.name: stack.enter_context(
                closing(Service(written(Path(folder), model_repository.resolve(), classifier, variant), *AS_WRITTEN))
            )
            for variant in variants(int8_graph, bfloat16=multiplies_bfloat16())
        }
        first = next(iter(services.values()))
        inputs = {
            name: Input(requests=some, right=[answers.likely_indices(ask(first.address, one)) for one in some])
            for name, some in requests.items()
        }
        for one in run(plan, services, inputs):
            windows.append(one)
            print(f"{time.monotonic() - began:6.1f} s  {report.line(one)}", file=sys.stderr)
        memory = {name: round(service.resident_bytes() / 1e6) for name, service in services.items()}
    environment = {
        **machine.environment([model_repository / f"{model}_{part}/1/model.onnx" for part in ("resize", "classify")]),
        "MB resident": ", ".join(f"{name} {size}" for name, size in memory.items()),
        "run_seconds": round(time.monotonic() - began),
    }
    found = f.conclude(windows)
    print(markdown(windows, environment), found, sep="\n\n")
    report.write(json, report.document(windows, {**environment, "plan": plan}, verdict=found.outcome))
    return found.exit_code if check else 0
