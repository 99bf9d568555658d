"""How long small images wait beside dear ones, by how the proxy chooses a replica: `python -m benchmarks balancing`.

The same load, in turn, through proxies that choose in different ways, before the same replicas: raw images of 224 x
224, and among them photos of 12 megapixels and requests of 16 images. Each round sends each proxy the same schedule.
"""

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated

import matplotlib as mpl
import numpy as np
from typer import Option

from benchmarks import answers, load_figures, policies, report, workloads
from benchmarks import options as o
from benchmarks.machine import cpu_seconds, family
from benchmarks.mixed_sizes import enlarge
from benchmarks.proxies import Proxy
from benchmarks.server import Service
from topfive_loadgen import drawing, tables, verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.cli import several
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.percentiles import percentile_of
from topfive_loadgen.plan import OpenLoad, Sample

SMALL, LARGE, BATCH = "small", "12 megapixels", "batch of 16"
COUNTS = {SMALL: 52, LARGE: 6, BATCH: 6}  # numbers of requests, in a random order that repeats
IMAGES = 16
LAG_LIMIT_SECONDS = 0.030  # all share the machine's few cores


@dataclass(frozen=True, slots=True)
class Window:
    """The answers of one load through one proxy, and the cores' time that the proxy took for it."""

    policy: str
    round: int
    samples: Sequence[Sample]
    faults: Sequence[str]
    cpu_seconds: float = 0.0


def mix_of(payloads: Mapping[str, workloads.Workload], *, seed: int) -> list[tuple[str, bytes]]:
    """The kinds and the requests, in the order of sending."""
    pixels = [one for one in payloads[workloads.RAW224] if not isinstance(one, bytes)]
    photos = [enlarge(one) for one in payloads[workloads.JPEG][:2] if isinstance(one, bytes)]
    stack = np.stack([pixels[number % len(pixels)] for number in range(IMAGES)])
    made = {
        SMALL: [workloads.request(one) for one in pixels],
        LARGE: [workloads.request(one) for one in photos],
        BATCH: [workloads.request(stack)],
    }
    sent = [(kind, made[kind][n % len(made[kind])]) for kind, count in COUNTS.items() for n in range(count)]
    return Random(seed).sample(sent, len(sent))


def windows(
    fronts: Mapping[str, Proxy],
    requests: Sequence[bytes],
    *,
    rate: float,
    seconds: float,
    rounds: int,
    seed: int,
    aside: Aside,
) -> Iterator[Window]:
    """Each round sends every proxy the same; every other round in reverse order, as the machine may change."""
    for turn in range(rounds):
        for name in list(fronts) if turn % 2 == 0 else reversed(list(fronts)):
            front = fronts[name]
            host, port = front.address
            plan = OpenLoad(
                url=f"http://{host}:{port}",
                requests=requests,
                rate=rate,
                seconds=seconds,
                seed=seed + turn,
                read=answers.top_index,
            )
            before = cpu_seconds(family(front.process.pid))
            done = aside.run(drive_open, plan=plan)
            spent = cpu_seconds(family(front.process.pid)) - before
            faults = done.faults(lag_limit_seconds=LAG_LIMIT_SECONDS)
            yield Window(name, turn, done.samples, [f"{name}, round {turn + 1}: {fault}" for fault in faults], spent)


def summarise(found: Sequence[Window], kinds: Sequence[str], *, warm_seconds: float) -> dict[str, dict[str, float]]:
    """For each policy: percentiles in ms of each kind, over all rounds, and how many were not answered with 200.

    The p90 of small images also in the best and the worst round, to show what is noise; and the proxy's own CPU, in ms
    for each request.
    """
    figures: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(window.policy for window in found):
        its = [window for window in found if window.policy == name]
        samples = [one for window in its for one in window.samples if one.scheduled >= warm_seconds]
        row = figures.setdefault(name, {})
        for kind in COUNTS:
            took = [
                one.latency * 1e3 for one in samples if kinds[one.request] == kind and one.status == load_figures.OK
            ]
            row.update({f"{kind} p{percent}": percentile_of(took, percent) for percent in (50, 90, 99)})
        rounds = [
            percentile_of(
                [
                    one.latency * 1e3
                    for one in window.samples
                    if kinds[one.request] == SMALL and one.scheduled >= warm_seconds
                ],
                90,
            )
            for window in its
        ]
        row["in rounds, from"], row["to"] = min(rounds), max(rounds)
        spent = sum(window.cpu_seconds for window in its)
        row["proxy CPU"] = 1e3 * spent / max(1, sum(len(window.samples) for window in its))
        row["not 200"] = sum(one.status != load_figures.OK for one in samples)
        row["small images"] = sum(kinds[one.request] == SMALL for one in samples)
    return figures


def draw(figures: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """A bar for each policy: p50 and p90 of small images."""
    with mpl.rc_context(drawing.STYLE):
        canvas = drawing.canvas(0.34 * len(figures) + 1.1)
        axes = canvas.subplots()
        axes.set_title("Small images beside dear ones: p50 and p90, ms")
        names = list(figures)[::-1]
        for name, colour in ((f"{SMALL} p90", drawing.SEQUENCE[1]), (f"{SMALL} p50", drawing.SEQUENCE[0])):
            bars = axes.barh(names, [figures[one][name] for one in names], color=colour, label=name.split()[-1])
            axes.bar_label(bars, fmt="%.0f", padding=3, fontsize=8)
        axes.grid(visible=False, axis="y")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2)  # above the bars
        canvas.savefig(path, dpi=150)


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    service_flag: o.Flags = o.NONE_GIVEN,
    images: o.Images = None,
    count: Annotated[int, Option("--replicas", min=1, metavar="N", help="how many, of one core each")] = 3,
    only: Annotated[
        Collection[str],
        Option(
            "--policies", parser=several(str, allowed=list(policies.POLICIES)), metavar="NAME,NAME", help="these only"
        ),
    ] = (),
    rate: o.Rate = 30.0,
    seconds: o.PhaseSeconds = 8.0,
    rounds: o.Rounds = 3,
    seed: o.Seed = 1,
    json: o.Json = None,
    plot: Annotated[Path | None, Option(metavar="FILE", help="draw the small images' latencies into this file")] = None,
) -> int:
    """Measure how long small images wait beside dear ones, by how the proxy chooses a replica."""
    sent = mix_of(workloads.load(images), seed=seed)
    kinds, requests = [kind for kind, _ in sent], [request for _, request in sent]
    warm_seconds = seconds / 5
    with tempfile.TemporaryDirectory(prefix="topfive-proxy-") as folder, ExitStack() as stack:
        Path(folder).chmod(0o755)
        flags = ("--cores", "1", *service_flag)
        replicas = [stack.enter_context(closing(Service(model_repository.resolve(), *flags))) for _ in range(count)]
        fronts = {
            name: policies.start(
                name, Path(folder) / str(number), replicas=[one.address for one in replicas], undo=stack.callback
            )
            for number, name in enumerate(only or policies.POLICIES)
        }
        aside = stack.enter_context(Aside())
        found = list(
            windows(
                fronts,
                requests,
                rate=rate,
                seconds=warm_seconds + seconds,
                rounds=rounds,
                seed=seed,
                aside=aside,
            )
        )
    figures = summarise(found, kinds, warm_seconds=warm_seconds)
    names = list(next(iter(figures.values())))
    rows = [(name, *(tables.number(row[one]) for one in names)) for name, row in figures.items()]
    if plot:
        draw(figures, plot)
    failed = [name for name, row in figures.items() for _ in range(int(row["not 200"]))]
    return report.finish(
        [verdict.none_of("requests that were not answered with 200", failed)],
        [fault for window in found for fault in window.faults],
        shown=[tables.markdown(tables.of([("ms", *names), *rows]))],
        json=json,
        document={"figures": figures, "replicas": count, "rate": rate},
    )
