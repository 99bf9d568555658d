"""A steady mixed load for minutes, to find leaks: `make soak`.

It sends files, raw pixels of many sizes and inference requests at a share of the peak, and among them bad requests and
hang-ups. It samples memory, open files, threads and latency. It fails if memory keeps growing.
"""

import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Annotated

from typer import Option

from benchmarks import (
    answers,
    machine,
    mix,
    nasty,
    report,
    repositories,
    samples,
    timeline,
    workloads,
)
from benchmarks import options as o
from benchmarks.mix import REFUSED, Ask, Judged
from benchmarks.mob import Mob
from benchmarks.nasty import Victim
from benchmarks.samples import Held, Sampler
from benchmarks.server import Service
from topfive_loadgen import verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.closed_loop import drive
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.percentiles import percentile_of
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, OpenLoad, Sample
from topfive_loadgen.verdict import Check

PHOTO_COUNT = 24
SIDES = ((2, 2), (7, 5), (64, 48), (1, 300), (480, 640))
GOOD_FOR_EACH_BAD = 9
HANG_UP_SECONDS = 0.5  # seconds between two clients that hang up
PEAK_CONNECTIONS, PEAK_SECONDS = 8, 3.0
BINS = 60  # points of the latency curve
SLOPE_LIMIT_MB = 1.0  # per minute: an allocator's growth after a third of ten minutes stays below it, a leak's does not
REFUSED_MOST = 0.01  # the most refusals, as a share, at a load below the peak
NOTICE_SECONDS = 0.5  # time for the service to notice that its first client has left
SETTLE_SECONDS = 20.0  # time for the service to notice that all clients have left


@dataclass(frozen=True, slots=True)
class Soaked:
    """The results: the answers, and what the service held before, during and after the load."""

    run: Done
    samples: Sequence[Held]
    before: Held
    after: Held


def judge(soaked: Soaked, judged: Judged, *, exit_code: int, slope_limit_mb: float) -> list[Check]:
    """Check that memory does not grow, that nothing else is held after the load, and that every answer is right."""
    slope, _ = samples.trend(samples.last_two_thirds(soaked.samples))
    total = sum(sum(counts.values()) for counts in judged.counts.values())
    refused = sum(counts.get(REFUSED, 0) for counts in judged.counts.values())
    return [
        verdict.at_most("memory, slope over the last two thirds", slope / 1e6, slope_limit_mb, unit="MB/min"),
        verdict.at_most("open files at the end", soaked.after.open_files, soaked.before.open_files),
        verdict.at_most("threads at the end", soaked.after.threads, soaked.before.threads),
        verdict.none_of("wrong answers", judged.wrong),
        verdict.none_of("requests without an answer", judged.lost),
        verdict.at_most("share refused", refused / max(1, total), REFUSED_MOST),
        verdict.none_of("exit code after SIGTERM", [str(exit_code)] if exit_code else []),
    ]


def latency_curve(given: Sequence[Sample], *, seconds: float) -> Iterator[tuple[float, float, float]]:
    """For each bin of time with answers: its middle, and p50 and p99, in ms, of the requests due in it."""
    width = seconds / BINS
    bins: list[list[float]] = [[] for _ in range(BINS)]
    for answer in given:
        bins[min(BINS - 1, int(answer.scheduled / width))].append(answer.latency * 1e3)
    for number, found in enumerate(bins):
        if found:
            yield (number + 0.5) * width, percentile_of(found, 50), percentile_of(found, 99)


def shuffled(good: Sequence[Ask], bad: Sequence[Ask], *, seed: int) -> list[Ask]:
    """Good asks and a few bad ones, in random order."""
    asks = [*good] * math.ceil(GOOD_FOR_EACH_BAD * len(bad) / len(good))
    asks += [*bad] * max(1, len(asks) // (GOOD_FOR_EACH_BAD * len(bad)))
    Random(seed).shuffle(asks)
    return asks


def soak(service: Service, asks: Sequence[Ask], *, share: float, seconds: float, seed: int) -> Soaked:
    """Measure the peak, then run the load at `share` of it for `seconds`, with samples of what the service holds."""
    idle = samples.settle(service, open_files=0, within_seconds=NOTICE_SECONDS)
    peak = drive(
        service.http_url,
        [one.message for one in asks if one.labels],
        connections=PEAK_CONNECTIONS,
        warm_seconds=PEAK_SECONDS / 3,
        window_seconds=min(PEAK_SECONDS, seconds / 3),
    ).requests_per_second
    print(f"peak {peak:.0f} requests/s; soaking at {share:.0%} of it", file=sys.stderr)
    victim = Victim(
        address=service.address,
        messages={one.kind: one.message for one in asks if one.labels},
        model=repositories.STURDY,
        head_seconds=0.0,
        body_seconds=0.0,
        send_seconds=0.0,
    )
    leavers = {kind: nasty.KINDS[kind] for kind in nasty.KINDS if kind.startswith("hang up")}
    before = samples.settle(service, open_files=idle.open_files, within_seconds=SETTLE_SECONDS)
    plan = OpenLoad(
        url=service.http_url,
        requests=[one.message for one in asks],
        rate=share * peak,
        seconds=seconds,
        seed=seed,
        read=answers.told,
    )
    with (
        Aside() as aside,
        Sampler(service, every_seconds=min(1.0, seconds / BINS)) as sampler,
        Mob(victim, leavers, size=1, seed=seed, pause_seconds=HANG_UP_SECONDS),
    ):
        run = aside.run(drive_open, plan=plan)
    after = samples.settle(service, open_files=idle.open_files, within_seconds=SETTLE_SECONDS)
    return Soaked(run, sampler.samples, before, after)


def main(
    *,
    minutes: Annotated[float, Option(min=0.01, help="how long the load lasts")] = 10.0,
    share: Annotated[float, Option(min=0.01, help="offered load as a share of the peak")] = 0.5,
    slope_limit: Annotated[float, Option(metavar="MB", help="most growth of memory per minute")] = SLOPE_LIMIT_MB,
    seed: o.Seed = 1,
    tiny: o.Tiny = False,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    service_flag: o.Flags = o.NONE_GIVEN,
    json: o.Json = None,
    plot: Annotated[Path | None, Option(metavar="FILE", help="draw memory and latency into this file")] = None,
) -> int:
    """Run a steady mixed load for minutes: do memory, open files, threads and latency stay the same?"""
    with tempfile.TemporaryDirectory(prefix="topfive-soak-") as folder:
        repositories.write_sturdy(Path(folder))
        if not tiny:
            repositories.link_models(Path(folder), model_repository.resolve())
        with closing(Service(Path(folder), *service_flag)) as service:
            good, missing = mix.with_right_answers(service.address, _asks(images, model=None if tiny else model))
            bad = mix.bad_asks(repositories.STURDY, repositories.image(7))
            asks = shuffled(good, bad, seed=seed)
            soaked = soak(service, asks, share=share, seconds=minutes * 60, seed=seed)
            exit_code = service.close()
    judged = mix.judge_all(asks, soaked.run.samples)
    curve = [*latency_curve(soaked.run.samples, seconds=soaked.run.elapsed)]
    if plot:
        timeline.draw_soak(soaked.samples, curve, plot)
    shown = [
        *(f"{when}: {held}" for when, held in (("before", soaked.before), ("after", soaked.after))),
        *(f"left out, for there is no such route: {kind}" for kind in missing),
    ]
    document = {"before": soaked.before, "after": soaked.after, "samples": soaked.samples, "latency": curve}
    return report.finish(
        judge(soaked, judged, exit_code=exit_code, slope_limit_mb=slope_limit),
        soaked.run.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS),
        shown=["\n".join(shown), mix.markdown(judged)],
        json=json,
        document={**document, "counts": judged.counts, **machine.environment([])},
    )


def _asks(images: Path | None, *, model: str | None) -> list[Ask]:
    sizes = [
        repositories.image(37 * turn % 256, height=height, width=width) for turn, (height, width) in enumerate(SIDES)
    ]
    asks = mix.good_asks(repositories.STURDY, sizes)
    if model is not None:
        payloads = workloads.load(images)
        photos = [image for scenario in workloads.SCENARIOS for image in payloads[scenario][:PHOTO_COUNT]]
        asks += mix.good_asks(model, photos)
    return asks
