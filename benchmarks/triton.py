"""Compares the service (embedded backend), the service on Triton, and Triton alone: `python -m benchmarks triton`.

All three serve one repository and get the same bytes, by the Open Inference Protocol with binary tensors. Windows of
the three alternate; while one server works the other two sleep, and every window checks that.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from json import loads
from pathlib import Path
from typing import Annotated

import numpy as np
from typer import Option

from benchmarks import answers, machine, oip, report, triton_report, tritonserver, workloads
from benchmarks import figures as f
from benchmarks import options as o
from benchmarks.bench import client_figures
from benchmarks.figures import Window
from benchmarks.server import Endpoint, Service
from benchmarks.triton_report import ALONE, EMBEDDED, ON_TRITON, scenario
from benchmarks.tritonserver import Tritonserver
from benchmarks.workloads import MIXED, RAW224
from topfive_loadgen.asking import ask
from topfive_loadgen.cli import one_of
from topfive_loadgen.closed_loop import Exchange, drive

INPUTS = (RAW224, MIXED)


@dataclass(frozen=True, slots=True)
class Target:
    """A server. `cpu` reads the CPU time of its processes, `batches` the images and batches of its classifier."""

    name: str
    endpoint: Endpoint
    cpu: Sequence[Callable[[], float]]
    batches: Callable[[], tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TritonPlan:
    """What to measure, and for how long."""

    inputs: Sequence[str]
    connections: Sequence[int]
    rounds: int
    warm_seconds: float
    window_seconds: float


@dataclass(frozen=True, slots=True)
class Work:
    """Requests, and the right labels of each."""

    requests: Sequence[bytes]
    labels: Sequence[frozenset[str]]

    def wrong(self, exchanges: Sequence[Exchange]) -> list[str]:
        """The wrong answers, in words."""
        said = [(answers.told(one.response), self.labels[one.request]) for one in exchanges]
        return [
            f"{told}, not one of {sorted(right)}"
            for told, right in said
            if not isinstance(told, answers.Told) or told.labels[0] not in right
        ]


def run(plan: TritonPlan, targets: Sequence[Target], works: Mapping[str, Work]) -> Iterator[Window]:
    """All windows of all rounds; the order of the servers changes from window to window."""
    turn = 0
    for number in range(plan.rounds):
        for name in plan.inputs:
            for connections in plan.connections:
                first = turn % len(targets)
                for target in (*targets[first:], *targets[:first]):
                    yield _window(plan, target, works[name], turn=number, name=name, connections=connections)
                turn += 1


def _window(plan: TritonPlan, target: Target, work: Work, *, turn: int, name: str, connections: int) -> Window:
    images_before, executions_before = target.batches()
    load = drive(
        target.endpoint.http_url,
        work.requests,
        connections=connections,
        warm_seconds=plan.warm_seconds,
        window_seconds=plan.window_seconds,
        meters=(*target.cpu, machine.busy_seconds),
    )
    images, executions = target.batches()
    wrong = work.wrong(load.exchanges)
    if wrong:
        print(f"wrong: {wrong[0]}", file=sys.stderr)
    values = client_figures(load, wrong=len(wrong))
    if executions > executions_before:
        values[f.BATCH] = (images - images_before) / (executions - executions_before)
    return Window(turn, scenario(name, target.name), connections, values)


def with_threads(repository: Path, source: Path, threads: int) -> Path:
    """A copy of the repository for Triton, with `threads` for each instance; 0 leaves it unset: one for each core."""
    shutil.copytree(source, repository)
    parameter = f'\nparameters {{ key: "intra_op_thread_count" value: {{ string_value: "{threads}" }} }}\n'
    for config in repository.glob("*/config.pbtxt"):
        text = config.read_text()
        if threads and "ensemble_scheduling" not in text:
            config.write_text(text + parameter)
    return repository


def of_service(service: Service) -> tuple[float, float]:
    """The images and batches that the service has run."""
    found = service.metrics()
    return found.sum("topfive_batch_size_sum") or 0.0, found.sum("topfive_batch_size_count") or 0.0


def of_triton(server: Tritonserver, classifier: str) -> tuple[float, float]:
    """The images and batches that Triton has run, for all clients."""
    found = server.model_statistics(classifier)
    return found["inference_count"], found["execution_count"]


def works(model: str, images: Path | None, inputs: Sequence[str], reference: Endpoint) -> dict[str, Work]:
    """The requests of each input; the right answers are those of `reference` without other load."""
    made = {}
    for name in inputs:
        requests = [oip.infer(model, np.stack([_pixels(one)]), binary=True) for one in workloads.load(images)[name]]
        likely = [answers.likely_labels(ask(reference.address, one))[0] for one in requests]
        made[name] = Work(requests, likely)
    return made


def _pixels(payload: workloads.Payload) -> workloads.Pixels:
    if isinstance(payload, bytes):
        raise SystemExit("only pixels can be sent by the Open Inference Protocol")
    return payload


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    inputs: Annotated[
        list[str], Option("--input", parser=one_of(INPUTS), help="only this one; may be repeated")
    ] = o.NONE_GIVEN,
    connections: o.ConnectionCounts = (1, 2, 4, 8, 16),
    rounds: o.Rounds = 3,
    window: Annotated[float, Option(metavar="SECONDS", help="how long each number of connections runs")] = 3.0,
    triton_threads: Annotated[
        int, Option(metavar="N", help="threads of each of Triton's instances; 0: one for each core")
    ] = 1,
    quick: o.Quick = False,
    json: o.Json = None,
    check: Annotated[bool, Option("--check", help="exit code 2 if the run is invalid")] = False,
) -> int:
    """Compare the service, the service on Triton, and Triton alone, in turns: throughput, latency and CPU."""
    if reason := tritonserver.missing():
        raise SystemExit(reason)
    plan = TritonPlan(
        inputs=inputs or INPUTS,
        connections=connections,
        rounds=1 if quick else rounds,
        warm_seconds=0.1 if quick else 0.5,
        window_seconds=0.3 if quick else window,
    )
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="topfive-triton-") as folder, ExitStack() as stack:
        source = model_repository.resolve()
        repository = with_threads(Path(folder) / "models", source, triton_threads)
        triton = stack.enter_context(closing(Tritonserver(Path(folder) / "server", repository)))
        targets = _start(stack, source, triton, classifier=f"{model}_classify")
        work = works(model, images, plan.inputs, targets[0].endpoint)
        windows = []
        for one in run(plan, targets, work):
            windows.append(one)
            print(f"{time.monotonic() - began:6.1f} s  {triton_report.line(one)}", file=sys.stderr)
        version = loads(triton.get("/v2")[1])["version"]
    environment = {
        **machine.environment([model_repository / f"{model}_{part}/1/model.onnx" for part in ("resize", "classify")]),
        "triton": version,
        "triton_threads": triton_threads,
        "run_seconds": round(time.monotonic() - began),
    }
    found = f.conclude(windows)
    print(triton_report.markdown(windows, [target.name for target in targets], environment), found, sep="\n\n")
    note = triton_report.note(environment)
    report.write(json, report.document(windows, {**environment, "plan": plan}, note=note, verdict=found.outcome))
    return found.exit_code if check else 0


def _start(stack: ExitStack, source: Path, triton: Tritonserver, *, classifier: str) -> list[Target]:
    """Start the servers, the one with the embedded backend first."""

    def batches() -> tuple[float, float]:
        return of_triton(triton, classifier)

    embedded = stack.enter_context(closing(Service(source, "--precision", "fp32")))
    service = stack.enter_context(closing(Service(source, "--triton-url", triton.url, backend="triton")))
    return [
        Target(EMBEDDED, embedded, [embedded.cpu_seconds], lambda: of_service(embedded)),
        Target(ON_TRITON, service, [service.cpu_seconds, triton.cpu_seconds], batches),
        Target(ALONE, triton, [triton.cpu_seconds], batches),
    ]
