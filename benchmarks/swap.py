"""Swaps a model's version for a new one and back, under load: `python -m benchmarks swap`.

Requests with one or several images go to `/v1/classify` and the Open Inference Protocol while versions are added to and
removed from the repository, and `load` is called. A version's labels name it, so every answer shows which version made
it. `judge` has the checks.
"""

import math
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from benchmarks import answers, load_figures, mix, report, repositories
from benchmarks import options as o
from benchmarks.answers import Told
from benchmarks.load_figures import OK
from benchmarks.mix import Ask
from benchmarks.repositories import CHANGING
from benchmarks.server import Service
from topfive_loadgen import verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.percentiles import percentile_of
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, OpenLoad, Sample
from topfive_loadgen.verdict import Check

IMAGES = 12
HEIGHT, WIDTH = 48, 64
OLD, NEW = 1, 2
BEFORE, DURING, AFTER = "before", "during", "after"


@dataclass(frozen=True, slots=True)
class Swap:
    """One `load`: its version, and when it was called and answered, in seconds of the run."""

    version: int
    called: float
    answered: float


def judge(asks: Sequence[Ask], given: Sequence[Sample], swaps: Sequence[Swap]) -> list[Check]:
    """Check that every answer is right, and that all its images are of one version, the one served at that time.

    A request that was sent after the answer to a `load`, and answered before the call of the next one, must be of the
    version of that `load`.
    """
    failed, wrong, mixed, stale = [], [], [], []
    for answer in given:
        if answer.status != OK or not isinstance(answer.seen, Told):
            failed.append(f"{asks[answer.request].kind}: status {answer.status}, {answer.seen}")
            continue
        versions = {label.partition(" ")[0] for label in answer.seen.labels}
        expected = [next(iter(label)).partition(" ")[2] for label in asks[answer.request].labels]
        if [label.partition(" ")[2] for label in answer.seen.labels] != expected:
            wrong.append(f"{answer.seen.labels}, not {expected}")
        if versions != {f"v{answer.seen.version}"}:
            mixed.append(f"version {answer.seen.version} with {answer.seen.labels}")
        settled = _settled(answer, swaps)
        if settled is not None and answer.seen.version != str(settled):
            stale.append(f"version {answer.seen.version}, sent {answer.sent:.3f} s, while {settled} was served")
    by_version = _by_version(given)
    return [
        verdict.none_of("failed requests", failed),
        verdict.none_of("wrong answers", wrong),
        verdict.none_of("answers of mixed versions", mixed),
        verdict.none_of("answers of a version not served then", stale),
        verdict.at_least("versions that answered", len(by_version), len({swap.version for swap in swaps} | {OLD})),
    ]


def tails(given: Sequence[Sample], swaps: Sequence[Swap]) -> dict[str, float]:
    """p99 of the latency, in ms, of requests due before the first swap, during a swap, and at any other time."""
    groups: dict[str, list[float]] = {BEFORE: [], DURING: [], AFTER: []}
    for answer in given:
        during = any(swap.called <= answer.done and answer.scheduled <= swap.answered for swap in swaps)
        group = DURING if during else BEFORE if answer.done < swaps[0].called else AFTER
        groups[group].append(answer.latency * 1e3)
    return {group: percentile_of(latencies, 99) for group, latencies in groups.items()}


def _settled(answer: Sample, swaps: Sequence[Swap]) -> int | None:
    """The only version that can have given this answer; None if a `load` was under way meanwhile."""
    if any(swap.called <= answer.done and answer.sent <= swap.answered for swap in swaps):
        return None
    past = [swap.version for swap in swaps if swap.answered < answer.sent]
    return past[-1] if past else OLD


def _by_version(given: Sequence[Sample]) -> Mapping[str, int]:
    return Counter(answer.seen.version for answer in given if isinstance(answer.seen, Told))


def swap_under_load(
    service: Service, repository: Path, asks: Sequence[Ask], *, rate: float, pause_seconds: float, swaps: int, seed: int
) -> tuple[Done, list[Swap]]:
    """Run the load, and during it swap to the new version, back to the old one, and so on."""
    plan = OpenLoad(
        url=service.http_url,
        requests=[one.message for one in asks],
        rate=rate,
        seconds=math.inf,  # stopped after the last swap
        seed=seed,
        read=answers.told,
    )
    made = []
    with Aside() as aside:
        aside.start(drive_open, plan=plan)
        for turn in range(swaps):
            time.sleep(pause_seconds)  # load in between is part of the run
            version = OLD if turn % 2 else NEW
            repositories.write_version(repository, NEW) if version == NEW else repositories.remove_version(
                repository, NEW
            )
            called = time.monotonic()
            status, body = service.request("POST", f"/v2/repository/models/{CHANGING}/load", b"{}")
            made.append(Swap(version, called, time.monotonic()))
            if status != OK:
                raise SystemExit(f"load of version {version} was answered {status}: {body}")
        time.sleep(pause_seconds)  # and after the last
        aside.stop()
        run = aside.result()
    return run, [Swap(one.version, one.called - run.began, one.answered - run.began) for one in made]


def main(
    *,
    rate: o.Rate = 200.0,
    swaps: Annotated[int, Option(metavar="N", help="number of swaps; a new version and the old one back are two")] = 6,
    pause: Annotated[
        float, Option(metavar="SECONDS", help="seconds of load before, between and after the swaps")
    ] = 2.0,
    seed: o.Seed = 1,
    service_flag: o.Flags = o.NONE_GIVEN,
    json: o.Json = None,
) -> int:
    """Swap a model's version and back, under load: no request may fail, and each answer must be of one version."""
    with tempfile.TemporaryDirectory(prefix="topfive-swap-") as folder:
        repository = Path(folder)
        repositories.write_version(repository, OLD)
        with closing(Service(repository, "--model-control", "explicit", *service_flag)) as service:
            images = [repositories.image(20 * turn, height=HEIGHT, width=WIDTH) for turn in range(IMAGES)]
            asks, missing = mix.with_right_answers(service.address, mix.good_asks(CHANGING, images))
            run, made = swap_under_load(
                service, repository, asks, rate=rate, pause_seconds=pause, swaps=swaps, seed=seed
            )
    by_version = dict(_by_version(run.samples))
    p99 = tails(run.samples, made)
    took = [round((swap.answered - swap.called) * 1e3, 1) for swap in made]
    shown = [
        f"{len(run.samples)} requests at {rate:g}/s, answers by version {by_version}",
        f"{len(made)} swaps, load took {took} ms",
        "p99 in ms: " + ", ".join(f"{name} {value:.1f}" for name, value in p99.items()),
    ]
    figures = load_figures.summarise(run.samples, after=0.0, until=run.elapsed)
    return report.finish(
        [*judge(asks, run.samples, made), verdict.none_of("routes that are not there", missing)],
        run.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS),
        shown=["\n".join(shown)],
        json=json,
        document={"swaps": made, "by_version": by_version, "p99": p99, "figures": figures},
    )
