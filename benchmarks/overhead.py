"""What the service costs over the bare limit of its own graphs: `python -m benchmarks.overhead`.

Starts the service, drives it with a light client and, between these windows, runs the same graphs over the same images
in a bare loop. This module is the command; each party has a module of its own.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # for `python benchmarks/overhead.py`

from benchmarks import bare, machine, oip, plot, report, workloads
from benchmarks import figures as f
from benchmarks.bare import Graphs
from benchmarks.bench import Bench, Plan
from benchmarks.figures import CONFIGS, FRONT_END, LONE, NULL, NULL_OIP, PROCESS, Config, Window
from benchmarks.server import ROOT, Service
from benchmarks.workloads import RAW224, SCENARIOS

PHOTOS = ROOT.parent / "shared" / "images"
CLASSES = range(1000)


def run(plan: Plan, *, repository: Path, graphs: Graphs, images: Path | None) -> Iterator[Window]:
    """Start everything, measure everything, stop everything."""
    for start in range(plan.starts - 1):
        with closing(Service(repository)) as service:
            yield Window(start, PROCESS, None, {f.START: service.start_seconds * 1e3})
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside,
        closing(Service(repository, backend="null")) as front_end,
        closing(Service(repository)) as service,
    ):
        yield Window(plan.starts - 1, PROCESS, None, {f.START: service.start_seconds * 1e3})

        def measure_bare(scenario: str, config: Config) -> dict[str, float]:
            loop = partial(bare.measure, graphs, images, scenario, config=config, seconds=plan.bare_seconds)
            return aside.submit(loop).result()

        answers = {name: aside.submit(bare.answers, graphs, images, name).result() for name in SCENARIOS}
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: measure, print, write what was asked for. With --check, 1 if the verdict is not PASS."""
    options = _parser().parse_args(arguments)
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # for the bare process and the service alike
    repository = options.model_repository.resolve()
    resize, classify = (repository / f"{options.model}_{part}/1/model.onnx" for part in ("resize", "classify"))
    plan = Plan(
        scenarios=options.scenario or (*SCENARIOS, *FRONT_END),
        connections=options.connections,
        configs=LONE if options.quick else CONFIGS,
        rounds=1 if options.quick else options.rounds,
        starts=1 if options.quick else 3,
        warm_seconds=0.1 if options.quick else 0.5,
        window_seconds=0.3 if options.quick else options.window,
        bare_seconds=0.2 if options.quick else options.window * 0.6,
    )
    images = options.images or (PHOTOS if PHOTOS.is_dir() else None)
    began = time.monotonic()
    windows = []
    for window in run(plan, repository=repository, graphs=(resize, classify), images=images):
        windows.append(window)
        print(f"{time.monotonic() - began:6.1f} s  {report.line(window)}", file=sys.stderr)
    environment = {**machine.environment((resize, classify)), "run_seconds": round(time.monotonic() - began)}
    measured = f.figures(windows)
    verdicts = f.judge(f.TARGETS, measured)
    print(report.markdown(windows, verdicts, environment))
    if options.json:
        options.json.write_text(report.as_json(windows, verdicts, {**environment, "plan": plan}))
    if options.plot:
        plot.draw(measured, options.plot)
    return int(options.check and f.conclude(windows, verdicts) != f.PASS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.overhead", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--model-repository", type=Path, default=ROOT / "model_repository", metavar="DIR")
    add("--model", default="efficientnet_lite0", help="the ensemble; its graphs are MODEL_resize and MODEL_classify")
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--scenario", action="append", choices=(*SCENARIOS, *FRONT_END), help="only this one; may be repeated")
    add("--connections", type=int, nargs="+", default=[1, 2, 4, 8, 16], metavar="N")
    add("--rounds", type=int, default=3, metavar="N")
    add("--window", type=float, default=2.5, metavar="SECONDS", help="how long each number of connections runs")
    add("--quick", action="store_true", help="one round of short windows: shows that it works, measures little")
    add("--json", type=Path, metavar="FILE", help="write every window, all figures and the environment")
    add("--plot", type=Path, metavar="FILE", help="draw throughput, CPU efficiency and latency")
    add("--check", action="store_true", help="exit with 1 if a target is missed or the run is invalid")
    return parser


if __name__ == "__main__":
    sys.exit(main())
