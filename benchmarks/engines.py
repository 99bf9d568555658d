"""Compares the engines that can run one repository: `python -m benchmarks engines`.

A service for each engine and precision serves a copy of the repository whose classifier asks for it. Windows of all of
them alternate, while the others sleep; each ratio compares windows of one round. The first is ONNX Runtime on the
repository as it is; an int8 graph beside its model.onnx is left alone.
"""

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

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

AS_WRITTEN = ("--precision", "fp32")
"""Each variant is the one graph, model.onnx, whatever it computes in; none that may lie beside it."""
AGREES = "first labels agree"
"""The share of answers whose first label is the first engine's, or is as likely to it."""
NOTE: Final = (
    "Medians over the rounds; each ratio is to the first line, of windows of one round. Times in ms: latencies as the "
    "client sees them, CPU (user and system) per image. Agreement: the share of answers with the first line's label, "
    "or one that is as likely to it."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What runs the classifier: `accelerator` is what its config.pbtxt says of it; `graph`, if given, replaces it."""

    name: str
    accelerator: str = ""
    graph: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnginesPlan:
    """What to measure, and for how long."""

    connections: Sequence[int]
    rounds: int
    warm_seconds: float
    window_seconds: float


def variants(quantised: Path | None, *, bfloat16: bool) -> list[Variant]:
    """All that this machine can run: `quantised` is a further graph of the classifier, in INT8."""
    openvino = 'name: "openvino"'
    precisions = {"fp32": openvino, "bf16": f'{openvino} parameters {{ key: "precision" value: "bf16" }}'}
    found = [Variant(name="onnxruntime")]
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
    if variant.accelerator:
        with (repository / classifier / "config.pbtxt").open("a") as config:
            config.write(
                "\noptimization { execution_accelerators { cpu_execution_accelerator "
                f"{{ {variant.accelerator} }} }} }}\n"
            )
    if variant.graph:
        shutil.copyfile(variant.graph, repository / classifier / "1" / "model.onnx")
    return repository


def run(
    plan: EnginesPlan, services: Mapping[str, Service], requests: Sequence[bytes], right: Sequence[frozenset[int]]
) -> Iterator[Window]:
    """All windows of all rounds; the order of the engines changes from window to window."""
    names, turn = list(services), 0
    for number in range(plan.rounds):
        for connections in plan.connections:
            first = turn % len(names)
            for name in (*names[first:], *names[:first]):
                values = _measure(plan, services[name], requests, right, connections=connections)
                yield Window(number, name, connections, values)
            turn += 1


def _measure(
    plan: EnginesPlan,
    service: Service,
    requests: Sequence[bytes],
    right: Sequence[frozenset[int]],
    *,
    connections: int,
) -> dict[str, float]:
    before = service.metrics()
    load = drive(
        service.http_url,
        requests,
        connections=connections,
        warm_seconds=plan.warm_seconds,
        window_seconds=plan.window_seconds,
        meters=(service.cpu_seconds, machine.busy_seconds),
    )
    agree = [workloads.is_right(one.response, right[one.request]) for one in load.exchanges]
    failed = sum(one.response.status != answers.OK for one in load.exchanges)
    batch = Difference(before, service.metrics()).mean("topfive_batch_size")
    found = {**client_figures(load, wrong=failed), AGREES: statistics.mean(agree)}
    return found if batch is None else {**found, f.BATCH: batch}


def ratio(windows: Sequence[Window], figure: str, name: str, connections: int) -> float:
    """The median over the rounds of `figure` of the engine `name`, divided by the first engine's."""
    first = windows[0].scenario
    by_round = {
        (window.round, window.scenario): window.values[figure] for window in windows if window.setting == connections
    }
    rounds = {number for number, _ in by_round}
    return statistics.median(by_round[number, name] / by_round[number, first] for number in rounds)


def markdown(windows: Sequence[Window], environment: Mapping[str, object]) -> str:
    """The whole result as Markdown."""
    measured = f.figures(windows)
    shown = (f.IMAGES, "p50", "p99", f.CPU, f.BATCH, AGREES, f.BYSTANDER)
    lines: list[Sequence[str]] = [("connections", "engine", f"÷ {windows[0].scenario}", "its p50", *shown)]
    for connections in sorted({window.setting for window in windows if isinstance(window.setting, int)}):
        for name in dict.fromkeys(window.scenario for window in windows):
            ratios = [ratio(windows, figure, name, connections) for figure in (f.IMAGES, "p50")]
            values = [measured.get(f.Figure(one, name, connections)) for one in shown]
            lines.append((str(connections), name, *map(tables.number, (*ratios, *values))))
    return "\n\n".join(
        [
            "## The engines, one against the other",
            ", ".join(f"{key} {value}" for key, value in environment.items() if not isinstance(value, dict)),
            tables.markdown(tables.of(lines)),
            NOTE,
        ]
    )


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    scenario: o.Scenario = "raw224",
    quantised: Annotated[
        Path | None, Option(metavar="FILE", help="the classifier's graph in INT8, to compare too on both engines")
    ] = None,
    connections: o.ConnectionCounts = (1, 8, 16),
    rounds: o.Rounds = 5,
    window: Annotated[float, Option(metavar="SECONDS", help="how long each number of connections runs")] = 2.5,
    quick: o.Quick = False,
    json: o.Json = None,
    check: Annotated[bool, Option("--check", help="exit code 2 if the run is invalid")] = False,
) -> int:
    """Compare ONNX Runtime and OpenVINO, in each precision that this processor has, behind the service, in turns."""
    plan = EnginesPlan(
        connections=connections,
        rounds=1 if quick else rounds,
        warm_seconds=0.1 if quick else 0.5,
        window_seconds=0.3 if quick else window,
    )
    began = time.monotonic()
    requests = [*map(workloads.request, workloads.load(images)[scenario])]
    classifier = f"{model}_classify"
    windows = []
    with tempfile.TemporaryDirectory(prefix="topfive-engines-") as folder, ExitStack() as stack:
        services = {
            variant.name: stack.enter_context(
                closing(Service(written(Path(folder), model_repository.resolve(), classifier, variant), *AS_WRITTEN))
            )
            for variant in variants(quantised, bfloat16=multiplies_bfloat16())
        }
        first = next(iter(services.values()))
        right = [answers.likely_indices(ask(first.address, request)) for request in requests]
        for one in run(plan, services, requests, right):
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
