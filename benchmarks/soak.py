"""Steady mixed load for minutes, and what the service holds meanwhile: `make soak`.

Files, raw pixels of many sizes and inference requests at a share of the peak, beside what clients do wrong every day:
bad requests and hang-ups. Memory, open files, threads and latency are sampled; memory that goes on growing fails it.
"""

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from benchmarks import (
    answers,
    machine,
    mix,
    nasty,
    repositories,
    samples,
    timeline,
    verdict,
    workloads,
)
from benchmarks.mix import REFUSED, Ask, Judged
from benchmarks.mob import Mob
from benchmarks.nasty import Victim
from benchmarks.overhead import PHOTOS
from benchmarks.samples import Held, Sampler
from benchmarks.server import ROOT, Service
from benchmarks.verdict import Check
from loadgen.aside import Aside
from loadgen.closed_loop import drive
from loadgen.open_loop import drive as drive_open
from loadgen.percentiles import percentile_of
from loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, Plan, Sample

PHOTO_COUNT = 24
SIDES = ((2, 2), (7, 5), (64, 48), (1, 300), (480, 640))
GOOD_FOR_EACH_BAD = 9
HANG_UP_SECONDS = 0.5  # between two clients that hang up
PEAK_CONNECTIONS, PEAK_SECONDS = 8, 3.0
BINS = 60  # points of the latency curve
SLOPE_LIMIT_MB = 1.0  # a minute: what an allocator still does after a third of ten minutes, and a leak soon passes
REFUSED_MOST = 0.01  # of a load that is a share of the peak
NOTICE_SECONDS = 0.5  # by when it has noticed that the one client so far has left
SETTLE_SECONDS = 20.0  # by when the service has noticed that everybody has left


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it: the load, what the service held, before, meanwhile and after."""

    run: Done
    samples: Sequence[Held]
    before: Held
    after: Held


def judge(soaked: Soaked, judged: Judged, *, exit_code: int, slope_limit_mb: float) -> list[Check]:
    """Memory that does not grow, nothing else that is held for ever, and every answer right."""
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
        verdict.equal("exit code after SIGTERM", exit_code, 0),
    ]


def latency_curve(given: Sequence[Sample], *, seconds: float) -> Iterator[tuple[float, float, float]]:
    """The middle of each bin of time, p50 and p99 of what was due in it, in ms; bins without an answer are left out."""
    width = seconds / BINS
    bins: list[list[float]] = [[] for _ in range(BINS)]
    for answer in given:
        bins[min(BINS - 1, int(answer.scheduled / width))].append(answer.latency * 1e3)
    for number, found in enumerate(bins):
        if found:
            yield (number + 0.5) * width, percentile_of(found, 50), percentile_of(found, 99)


def shuffled(good: Sequence[Ask], bad: Sequence[Ask], *, seed: int) -> list[Ask]:
    """Good and bad ones in the proportion of every day, in an order without a pattern."""
    asks = [*good] * math.ceil(GOOD_FOR_EACH_BAD * len(bad) / len(good))
    asks += [*bad] * max(1, len(asks) // (GOOD_FOR_EACH_BAD * len(bad)))
    Random(seed).shuffle(asks)
    return asks


def soak(service: Service, asks: Sequence[Ask], *, share: float, seconds: float, seed: int) -> Soaked:
    """The load, at a share of the peak measured first, for so long; what the service held."""
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
    plan = Plan(
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


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 1 if memory goes on growing, or anything else gives way."""
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="topfive-soak-") as folder:
        repositories.write_sturdy(Path(folder))
        if not options.tiny:
            repositories.link_models(Path(folder), options.model_repository.resolve())
        with closing(Service(Path(folder), *options.service_flag)) as service:
            good, missing = mix.with_right_answers(service.address, _asks(options))
            bad = mix.bad_asks(repositories.STURDY, repositories.image(7))
            asks = shuffled(good, bad, seed=options.seed)
            seconds = options.minutes * 60
            soaked = soak(service, asks, share=options.share, seconds=seconds, seed=options.seed)
            exit_code = service.close()
    judged = mix.judge_all(asks, soaked.run.samples)
    curve = [*latency_curve(soaked.run.samples, seconds=soaked.run.elapsed)]
    checks = judge(soaked, judged, exit_code=exit_code, slope_limit_mb=options.slope_limit)
    faults = soaked.run.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS)
    for when, held in (("before", soaked.before), ("after", soaked.after)):
        memory = f"{held.resident_bytes / 1e6:.1f} MB"
        print(f"{when}: {memory}, {held.open_files} open files, {held.threads} threads")
    for kind in missing:
        print(f"left out, for there is no such route: {kind}")
    print(mix.markdown(judged), verdict.markdown(checks), verdict.conclude(checks, faults), sep="\n\n")
    if options.json:
        document = {"before": soaked.before, "after": soaked.after, "samples": soaked.samples, "latency": curve}
        document |= {"counts": judged.counts, "checks": checks, "faults": faults, **machine.environment([])}
        options.json.write_text(json.dumps(document, default=asdict) + "\n")
    if options.plot:
        timeline.draw_soak(soaked.samples, curve, options.plot)
    return verdict.exit_code(checks, faults)


def _asks(options: argparse.Namespace) -> list[Ask]:
    sizes = [
        repositories.image(37 * turn % 256, height=height, width=width) for turn, (height, width) in enumerate(SIDES)
    ]
    asks = mix.good_asks(repositories.STURDY, sizes)
    if not options.tiny:
        payloads = workloads.load(options.images or (PHOTOS if PHOTOS.is_dir() else None))
        photos = [image for scenario in workloads.SCENARIOS for image in payloads[scenario][:PHOTO_COUNT]]
        asks += mix.good_asks(options.model, photos)
    return asks


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__.partition(":")[0])
    add = parser.add_argument
    add("--minutes", type=float, default=10.0)
    add("--share", type=float, default=0.5, help="of the peak, how much is offered")
    add("--slope-limit", type=float, default=SLOPE_LIMIT_MB, metavar="MB", help="most growth of memory in a minute")
    add("--seed", type=int, default=1)
    add("--tiny", action="store_true", help="without the real models")
    add("--model-repository", type=Path, default=ROOT / "model_repository", metavar="DIR")
    add("--model", default="efficientnet_lite0")
    add("--images", type=Path, metavar="DIR", help="JPEG photos to send (default: photos of installed packages)")
    add("--service-flag", action="append", default=[], metavar="FLAG", help="passed on: --service-flag=--workers=2")
    add("--json", type=Path, metavar="FILE", help="write the samples, the latency curve and the checks")
    add("--plot", type=Path, metavar="FILE", help="draw memory and latency")
    return parser


if __name__ == "__main__":
    sys.exit(main())
