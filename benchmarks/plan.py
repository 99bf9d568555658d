"""Whether `topfive plan` predicts what servers then do: `python -m benchmarks plan`.

For one server with all cores, and for two of one core behind the real nginx (`deploy/nginx.conf`): it measures the
costs as `topfive plan` does, then puts the real servers under five loads, in rounds. All loads have the same number of
requests, so that p99 is told equally well at every rate, and the simulation gets the very schedule that was sent. Just
before and after each load short closed loops say how the machine is at that moment: how fast, and how often it has two
threads share a core. The simulation of the load has both, and a load counts only if the two speeds agree. What counts
in the end is the median over the rounds of predicted to measured. The load generator shares the machine with the
servers, as the simulation knows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from statistics import fmean, median
from typing import Annotated, Final

from typer import Option

from benchmarks import nginx, plan_plot, proxies, report
from benchmarks import options as o
from benchmarks.machine import cpu_seconds, family
from benchmarks.server import Service, free_port
from topfive.machine.cores import usable_cores
from topfive_loadgen import schedule, tables, verdict
from topfive_loadgen.verdict import Check
from topfive_pipeline.judging.machine import this_machine
from topfive_pipeline.planning import costs as cost_files
from topfive_pipeline.planning.calibrating import Wanted, calibrate, interleaved, requests_of
from topfive_pipeline.planning.costs import Costs, KindCosts
from topfive_pipeline.planning.fitting import PAIR, Seen, as_fast, placed, shared_with_client
from topfive_pipeline.planning.fleet import Site
from topfive_pipeline.planning.mixes import mix_of
from topfive_pipeline.planning.simulation import Arrival, opened
from topfive_pipeline.proof.photos import Photo, read_photos, shipped
from topfive_pipeline.under_load.generator import Generator
from topfive_pipeline.under_load.images import MOST, bodies_of
from topfive_pipeline.under_load.load import WARM

SHARES: Final = (0.2, 0.4, 0.6, 0.75, 0.85)
"""Loads, of the most that the simulated servers do."""
PERCENTS: Final = ("50", "99")
WITHIN: Final = 0.15
SIMULATED: Final = 5
"""Simulations of a load: they differ in what is drawn for each run, as runs of one load do."""
STEADY: Final = 0.1
"""The speeds before and after a load may differ by this share; otherwise it is sent again, `TRIES` times at most."""
TRIES: Final = 3
MOMENT_SECONDS: Final = 1.5
CONNECTIONS: Final = 16
ONE, TWO = "one, all cores", "two of one core, nginx"


@dataclass(frozen=True, slots=True)
class Point:
    """One load of one setup. Of each round: its rate, and by percentile the seconds (predicted, measured)."""

    setup: str
    share: float
    rates: list[float] = field(default_factory=list)
    seconds: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {each: [] for each in PERCENTS})

    def ratios(self, percent: str) -> list[float]:
        """Predicted to measured, of each round, ascending."""
        return sorted(predicted / measured for predicted, measured in self.seconds[percent])


def judge(points: Sequence[Point]) -> list[Check]:
    """Check that the median ratio of every load is within the bound."""
    return [
        Check(
            name=f"{point.setup}, {point.share:.0%} of the most, p{percent}: off by",
            seen=abs(median(point.ratios(percent)) - 1) * 100,
            wanted=WITHIN * 100,
            unit="%",
            met=abs(median(point.ratios(percent)) - 1) <= WITHIN,
        )
        for point in points
        for percent in PERCENTS
        if point.rates
    ] + [
        verdict.none_of(
            "loads for which the machine was never steady", [str(point.share) for point in points if not point.rates]
        )
    ]


def markdown(points: Sequence[Point]) -> str:
    """A row for each load."""
    columns = ("predicted", "measured", "ratio", "rounds")
    header = ["servers", "load", "images/s", *(f"p{each}: {what}" for each in PERCENTS for what in columns)]
    rows = [
        [
            point.setup,
            f"{point.share:.0%}",
            f"{median(point.rates):.0f}",
            *(cell for percent in PERCENTS for cell in _cells(point, percent)),
        ]
        for point in points
        if point.rates
    ]
    return tables.markdown(tables.of([header, *rows]))


def _cells(point: Point, percent: str) -> list[str]:
    ratios = point.ratios(percent)
    predicted, measured = (median(side) for side in zip(*point.seconds[percent], strict=True))
    return [
        f"{predicted * 1e3:.1f} ms",
        f"{measured * 1e3:.1f} ms",
        f"{median(ratios):.2f}",
        f"{ratios[0]:.2f}–{ratios[-1]:.2f}",
    ]


@contextmanager
def one_server(repository: Path) -> Iterator[str]:
    """A server with all cores."""
    with closing(Service(repository)) as service:
        yield service.http_url


@contextmanager
def two_behind_nginx(repository: Path, *, backend: str = "embedded") -> Iterator[tuple[str, nginx.Nginx]]:
    """Two servers with one core each, behind nginx."""
    with tempfile.TemporaryDirectory(prefix="topfive-nginx-") as folder, ExitStack() as stack:
        both = [stack.enter_context(closing(Service(repository, "--cores", "1", backend=backend))) for _ in range(2)]
        proxy = nginx.Nginx.before(Path(folder), replicas=[service.address for service in both], port=free_port())
        stack.callback(proxy.close)
        yield f"http://127.0.0.1:{proxy.address[1]}", proxy


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    mix: Annotated[str, Option(help="what is sent, as for `topfive plan`")] = "jpeg",
    rounds: o.Rounds = 3,
    count: Annotated[int, Option("--requests", min=10, help="of each load in each round")] = 1000,
    measure: Annotated[float, Option(min=1.0, help="seconds in which the costs are measured, of each setup")] = 30.0,
    costs: Annotated[
        Path | None, Option(metavar="FILE", help="write the last costs of one server to this file")
    ] = None,
    plot: Annotated[Path | None, Option(metavar="FILE", help="draw predicted and measured into this file")] = None,
    json: o.Json = None,
) -> int:
    """Predicted latencies against those of real servers, one and two, at five loads: all within 15 %."""
    if not proxies.is_there(nginx.PROGRAM):
        raise SystemExit("there is no nginx; on Debian and Ubuntu: apt-get install nginx-light")
    photos = shipped() if images is None else read_photos(images, most=MOST)
    points = [Point(setup, share) for setup in (ONE, TWO) for share in SHARES]
    with Generator() as generator:
        asked = _Asked(generator, model_repository.resolve(), model, mix, photos, count=count, measure=measure)
        extra = asked.proxy_seconds()
        known = asked.costs(cores=0)
        if costs is not None:
            cost_files.write(known, costs)
        site = Site(costs=known, machine_cores=usable_cores())
        with one_server(asked.repository) as url:
            for number in range(rounds):
                asked.round(points[: len(SHARES)], site, url, seed=number)
        known = asked.costs(cores=1)
        known = replace(known, client_seconds=known.client_seconds + extra)
        site = Site(costs=known, replicas=2, machine_cores=usable_cores())
        with two_behind_nginx(asked.repository) as (url, _):
            for number in range(rounds):
                asked.round(points[len(SHARES) :], site, url, seed=number)
    if plot is not None:
        setups = {name: [(median(p.rates), p.seconds) for p in points if p.setup == name] for name in (ONE, TWO)}
        plan_plot.draw(setups, plot)
    machine = this_machine()
    return report.finish(
        judge(points),
        shown=[f"{machine.cpu}, {machine.cores} cores; {rounds} rounds of {count} requests a load", markdown(points)],
        json=json,
        document={"points": points, "machine": machine, "load_average": os.getloadavg()},
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of whom; `count` requests of a load, seconds to `measure` the costs."""

    generator: Generator
    repository: Path
    model: str
    mix: str
    photos: Sequence[Photo]
    count: int
    measure: float

    @property
    def requests(self) -> list[bytes]:
        sent = [(kind, share, bodies_of(self.photos, kind)) for kind, share in mix_of(self.mix)]
        return requests_of(sent, self.model)

    def costs(self, *, cores: int) -> Costs:
        """Those of a server with so many cores, 0 for all, as they are now."""
        wanted = Wanted(
            model=self.model,
            repository=self.repository,
            mix=mix_of(self.mix),
            cores=cores,
            seconds=self.measure,
        )
        return calibrate(wanted, self.photos, progress=lambda _: None)

    def proxy_seconds(self) -> float:
        """Core seconds that a request takes of nginx, in front of servers that compute nothing."""
        with two_behind_nginx(self.repository, backend="null") as (url, proxy):
            self.generator.closed(url, self.requests, connections=CONNECTIONS, seconds=0.5)
            before = cpu_seconds(family(proxy.process.pid))
            load = self.generator.closed(url, self.requests, connections=CONNECTIONS, seconds=2.0)
            return (cpu_seconds(family(proxy.process.pid)) - before) / (2.0 * load.rate)

    def round(self, points: Sequence[Point], site: Site, url: str, *, seed: int) -> None:
        """Each load once, measured and predicted."""
        most = self.moment(url).capacity
        for place, point in enumerate(points):
            rate = point.share * most
            for attempt in range(TRIES):
                sent = Schedule(rate, self.count / rate, TRIES * (len(points) * seed + place) + attempt)
                before = self.moment(url)
                found = self.generator.opened(url, self.requests, rate=rate, seconds=sent.seconds, seed=sent.seed)
                after = self.moment(url)
                if abs(after.capacity / before.capacity - 1) <= STEADY:
                    break
                said = f"{before.capacity:.0f} images/s before, {after.capacity:.0f} after: again"
                print(f"{point.setup}, {rate:.0f}/s: {said}", flush=True)
            else:
                continue
            now = replace(
                before, capacity=fmean((before.capacity, after.capacity)), pair=fmean((before.pair, after.pair))
            )
            predicted = self.predicted(as_it_is(site, now), sent)
            point.rates.append(rate)
            for percent in PERCENTS:
                point.seconds[percent].append((predicted[percent], found.at(percent)))
            told = [f"p{each} {predicted[each] * 1e3:.1f} : {found.at(each) * 1e3:.1f} ms" for each in PERCENTS]
            print(f"{point.setup}, {rate:.0f}/s: {', '.join(told)}; {found.failed} failed {found.fault}", flush=True)

    def moment(self, url: str) -> Seen:
        """What the servers do just now: at most, and for two at once."""
        most, pair = (
            self.generator.closed(url, self.requests, connections=connections, seconds=MOMENT_SECONDS)
            for connections in (CONNECTIONS, PAIR)
        )
        return Seen(
            capacity=most.rate,
            pair=fmean(latency for _, latency in pair.answered),
            connections=CONNECTIONS,
            machine_cores=usable_cores(),
        )

    def predicted(self, site: Site, sent: Schedule) -> dict[str, float]:
        """The medians of several simulations of what was sent."""
        kinds = iter(site.costs.kinds)
        photos = len(self.photos)
        asked = interleaved([(share, list(islice(kinds, photos))) for _, share in mix_of(self.mix)])
        probes = [
            opened(site, sent.arrivals(asked), after=WARM * sent.seconds, seed=seed).probe(sent.rate)
            for seed in range(SIMULATED)
        ]
        return {percent: median(probe.at(percent) for probe in probes) for percent in PERCENTS}


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the load generator is told to send: `rate` requests a second, for so many `seconds`."""

    rate: float
    seconds: float
    seed: int

    def arrivals(self, asked: Sequence[KindCosts]) -> Iterator[Arrival]:
        """When it sends which of `asked`, the kinds of the requests that it was given."""
        due = schedule.arrivals(self.rate, self.seconds, seed=self.seed)
        return ((at, asked[which]) for at, which in zip(due, schedule.order(len(asked), seed=self.seed), strict=False))


def as_it_is(site: Site, now: Seen) -> Site:
    """The site on a machine on which its servers do as was seen just now; the load generator is a part of the costs."""
    costs = placed(as_fast(site.costs, now, replicas=site.replicas), now, replicas=site.replicas)
    return replace(site, costs=shared_with_client(costs))
