"""Measures how large images delay small ones: `python -m benchmarks mixed_sizes`.

An open loop sends small photos and, one in ten, photos of 12 megapixels, at 70 % of the capacity for this mix. In turn
with it, another sends the same number of small photos alone. The difference in latency is the cost of the large ones.
"""

import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

import numpy as np
from PIL import Image

from benchmarks import answers, load_figures, machine, report, workloads
from benchmarks import options as o
from benchmarks import overload_verdict as v
from benchmarks.overload import closed_loop
from benchmarks.overload_verdict import Phase
from benchmarks.server import Endpoint
from topfive_loadgen import verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.asking import ask
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.photos import jpeg
from topfive_loadgen.plan import OpenLoad, Sample
from topfive_loadgen.verdict import Check

LARGE_SIZE = (4000, 3000)
SMALL, LARGE = 63, 7  # numbers of requests, in a random order that repeats
LOAD = 0.7  # share of the capacity for the mix
SMALL_ALONE, SMALL_BESIDE, LARGE_BESIDE = "small alone", "small beside large", "large"
RATIO_MOST = 2.0
"""Target: the p99 of small photos beside large ones, divided by the p99 of small photos alone."""
ANSWERED = "answered"  # share of what was scheduled


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is sent: the small photos, and the mix; `large` holds the places of large photos in the mix."""

    small: Sequence[bytes]
    both: Sequence[bytes]
    large: Collection[int]
    right: dict[bytes, frozenset[int]]
    warm_seconds: float
    seconds: float
    seed: int


def mix_of(photos: Sequence[bytes], *, seed: int) -> tuple[list[bytes], set[int]]:
    """The mix's requests in the order of sending, and the places of the large photos."""
    files = [photos[number % len(photos)] for number in range(SMALL)]
    enlarged = [enlarge(photo) for photo in photos[:2]]
    files += [enlarged[number % len(enlarged)] for number in range(LARGE)]
    order = Random(seed).sample(range(len(files)), len(files))
    large = {place for place, number in enumerate(order) if number >= SMALL}
    return [workloads.request(files[number]) for number in order], large


def enlarge(photo: bytes) -> bytes:
    """The photo enlarged to 12 megapixels, the size of phone photos."""
    return jpeg(Image.fromarray(workloads.decode(photo)), size=LARGE_SIZE)


def phases(service: Endpoint, setup: Setup, *, rate: float, rounds: int, aside: Aside) -> Iterator[Phase]:
    """Both loads in each round; their order alternates, in case the machine gets slower or faster."""
    for turn in range(rounds):
        loads = [(setup.both, rate), (setup.small, rate * SMALL / (SMALL + LARGE))]
        for requests, offered in loads if turn % 2 == 0 else reversed(loads):
            plan = OpenLoad(
                url=service.http_url,
                requests=requests,
                rate=offered,
                seconds=setup.warm_seconds + setup.seconds,
                seed=setup.seed + turn,
                read=answers.top_index,
            )
            done = aside.run(drive_open, plan=plan)
            faults = done.faults()
            if requests is setup.small:
                yield Phase(SMALL_ALONE, turn, figures(done.samples, requests, setup), faults)
                continue
            small = [answer for answer in done.samples if answer.request not in setup.large]
            large = [answer for answer in done.samples if answer.request in setup.large]
            yield Phase(SMALL_BESIDE, turn, figures(small, requests, setup), faults)
            yield Phase(LARGE_BESIDE, turn, figures(large, requests, setup))


def figures(found: Sequence[Sample], requests: Sequence[bytes], setup: Setup) -> dict[str, float]:
    """The figures of `load_figures`, and the share that was answered."""
    made = load_figures.summarise(
        found,
        after=setup.warm_seconds,
        until=setup.warm_seconds + setup.seconds,
        is_right=lambda answer: answer.seen in setup.right[requests[answer.request]],
    )
    sent = [answer for answer in found if answer.scheduled >= setup.warm_seconds]
    made[ANSWERED] = float(np.mean([answer.status == load_figures.OK for answer in sent])) if sent else np.nan
    return made


def checks(found: Sequence[Phase]) -> list[Check]:
    """Check the median of the rounds' ratios; and no answer may be wrong or lost."""
    alone, beside = (
        {one.round: one.figures for one in found if one.name == name} for name in (SMALL_ALONE, SMALL_BESIDE)
    )
    ratios = [beside[turn][load_figures.P99] / alone[turn][load_figures.P99] for turn in alone]
    return [
        verdict.at_most("p99 of small ones, beside large ÷ alone", float(np.median(ratios)), RATIO_MOST),
        *(
            verdict.at_most(name, sum(phase.figures[name] for phase in found), 0)
            for name in (load_figures.WRONG, load_figures.UNANSWERED)
        ),
    ]


def main(
    *,
    url: o.Url = None,
    model_repository: o.Repository = o.REPOSITORY,
    service_flag: o.Flags = o.NONE_GIVEN,
    images: o.Images = None,
    rounds: o.Rounds = 4,
    seconds: o.PhaseSeconds = 15.0,
    seed: o.Seed = 1,
    json: o.Json = None,
) -> int:
    """Measure how large images delay small ones: the p99 of small images beside large ones, and alone."""
    photos = workloads.load(images)[workloads.JPEG]
    both, large = mix_of([photo for photo in photos if isinstance(photo, bytes)], seed=seed)
    with ExitStack() as stack:
        aside = stack.enter_context(Aside())
        service = o.served(url, model_repository, service_flag, stack)
        setup = Setup(
            small=[request for place, request in enumerate(both) if place not in large],
            both=both,
            large=large,
            right={request: answers.likely_indices(ask(service.address, request)) for request in dict.fromkeys(both)},
            warm_seconds=seconds / 5,
            seconds=seconds,
            seed=seed,
        )
        capacity = aside.run(
            closed_loop, url=service.http_url, requests=both, warm_seconds=setup.warm_seconds, seconds=setup.seconds
        )
        print(f"capacity of both {capacity:.1f}/s", file=sys.stderr)
        found = []
        for phase in phases(service, setup, rate=LOAD * capacity, rounds=rounds, aside=aside):
            found.append(phase)
            print(f"round {phase.round + 1}  {phase.name:20}{v.line(phase)}", file=sys.stderr)
    names = (SMALL_ALONE, SMALL_BESIDE, LARGE_BESIDE)
    columns = {name: load_figures.medians([one.figures for one in found if one.name == name]) for name in names}
    note = f"Capacity of both {capacity:.1f}/s; medians over {rounds} rounds; latencies in ms from the schedule."
    environment = {"flags": service_flag, **machine.environment([])}
    document = {"environment": environment, "capacity": capacity, "phases": found}
    shown = [note, load_figures.markdown(columns)]
    return report.finish(checks(found), v.faults(found), shown=shown, json=json, document=document)
