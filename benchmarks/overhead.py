"""Measures the service's overhead over the bare limit of its own graphs: `python -m benchmarks overhead`.

It starts the service and loads it with a light client. Between these windows it runs the same graphs over the same
images in a bare loop (`bare`). This module is the command; `bench` has the windows.
"""

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
from typer import Option

from benchmarks import bare, machine, oip, report, workloads
from benchmarks import figures as f
from benchmarks import options as o
from benchmarks import plot as plots
from benchmarks.bare import Graphs
from benchmarks.bench import Bench, BenchPlan
from benchmarks.figures import CONFIGS, FRONT_END, LONE, NULL, NULL_OIP, PROCESS, Config, Window
from benchmarks.server import Service
from benchmarks.workloads import RAW224, SCENARIOS
from topfive_loadgen.cli import one_of

CLASSES = range(1000)
FP32 = "fp32"


def run(
    plan: BenchPlan, *, repository: Path, graphs: Graphs, images: Path | None, precision: str = FP32
) -> Iterator[Window]:
    """Start the service and the helpers, measure all windows, and stop them."""
    for start in range(plan.starts - 1):
        with closing(Service(repository, "--precision", precision)) as service:
            yield Window(start, PROCESS, None, {f.START: service.start_seconds * 1e3})
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside,
        closing(Service(repository, backend="null")) as front_end,
        closing(Service(repository, "--precision", precision)) as service,
    ):
        yield Window(plan.starts - 1, PROCESS, None, {f.START: service.start_seconds * 1e3})

        def measure_bare(scenario: str, config: Config) -> dict[str, float]:
            loop = partial(bare.measure, graphs, images, scenario, config=config, seconds=plan.bare_seconds)
            return aside.submit(loop).result()

        inputs = [name for name in SCENARIOS if name in plan.scenarios]
        answers = {name: aside.submit(bare.answers, graphs, images, name).result() for name in inputs}
        requests = {name: [*map(workloads.request, payloads)] for name, payloads in workloads.load(images).items()}
        model = graphs[0].parent.parent.name.removesuffix("_resize")
        pixels = workloads.load(images)[RAW224]
        infer_requests = [oip.infer(model, np.stack([one]), binary=True) for one in pixels]
        yield from Bench(
            plan=plan,
            service=service,
            front_end=front_end,
            measure_bare=measure_bare,
            bare_cpu_seconds=partial(machine.cpu_seconds, [aside.submit(os.getpid).result()]),
            requests={**requests, NULL: requests[RAW224], NULL_OIP: infer_requests},
            answers={**answers, **dict.fromkeys(FRONT_END, [CLASSES] * len(requests[RAW224]))},
        ).windows()
        yield Window(plan.rounds, PROCESS, None, {f.MEMORY: service.resident_bytes() / 1e6})


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    scenario: Annotated[
        list[str], Option(parser=one_of((*SCENARIOS, *FRONT_END)), help="only this one; may be repeated")
    ] = o.NONE_GIVEN,
    connections: o.ConnectionCounts = (1, 2, 4, 8, 16),
    rounds: o.Rounds = 3,
    window: Annotated[float, Option(metavar="SECONDS", help="how long each number of connections runs")] = 2.5,
    precision: Annotated[
        str, Option(parser=one_of((FP32, "int8")), help="the graph that the service and the bare loop run")
    ] = FP32,
    quick: o.Quick = False,
    json: o.Json = None,
    plot: Annotated[
        Path | None, Option(metavar="FILE", help="draw throughput, CPU efficiency and latency into this file")
    ] = None,
    check: Annotated[bool, Option("--check", help="exit code 1 for a missed target, 2 for an invalid run")] = False,
) -> int:
    """Measure the service's overhead over the bare limit of its own graphs: throughput, CPU and latency, in turns."""
    repository = model_repository.resolve()
    resize, classify = (repository / f"{model}_{part}/1/model.onnx" for part in ("resize", "classify"))
    if precision != FP32:
        classify = classify.with_name("model.int8.onnx")
    plan = BenchPlan(
        scenarios=scenario or (*SCENARIOS, *FRONT_END),
        connections=connections,
        configs=LONE if quick else CONFIGS,
        rounds=1 if quick else rounds,
        starts=1 if quick else 3,
        warm_seconds=0.1 if quick else 0.5,
        window_seconds=0.3 if quick else window,
        bare_seconds=0.2 if quick else window * 0.6,
    )
    began = time.monotonic()
    windows = []
    for one in run(plan, repository=repository, graphs=(resize, classify), images=images, precision=precision):
        windows.append(one)
        print(f"{time.monotonic() - began:6.1f} s  {report.line(one)}", file=sys.stderr)
    environment = {
        **machine.environment((resize, classify)),
        "precision": precision,
        "run_seconds": round(time.monotonic() - began),
    }
    measured = f.figures(windows)
    checks = f.judge(f.TARGETS, measured)
    found = f.conclude(windows, checks)
    print(report.markdown(windows, checks, environment), found, sep="\n\n")
    report.write(json, report.document(windows, {**environment, "plan": plan}, targets=checks, verdict=found.outcome))
    if plot:
        plots.draw(measured, plot)
    return found.exit_code if check else 0
