"""Whether `topfive plan` predicts what servers then do: `python -m benchmarks plan`.

For one server with all cores, and for two of one core behind the real nginx with `deploy/nginx.conf`: it measures
the costs as `topfive plan` does, simulates five loads, and puts the real servers under the same loads, in rounds.
Measured figures are medians over the rounds. The load generator shares the machine, as the simulation knows.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Final

from typer import Option

from benchmarks import nginx, proxies, report
from benchmarks import options as o
from benchmarks.machine import cpu_seconds, family
from benchmarks.server import Service, free_port
from topfive.machine.cores import usable_cores
from topfive_loadgen import tables
from topfive_loadgen.verdict import Check
from topfive_pipeline.planning import costs as cost_files
from topfive_pipeline.planning.calibrating import Wanted, calibrate, interleaved
from topfive_pipeline.planning.costs import Costs
from topfive_pipeline.planning.fitting import shared_with_client
from topfive_pipeline.planning.fleet import Site
from topfive_pipeline.planning.mixes import mix_of
from topfive_pipeline.planning.simulation import closed, opened, poisson
from topfive_pipeline.proof.photos import read_photos, shipped
from topfive_pipeline.under_load.generator import Generator
from topfive_pipeline.under_load.images import MOST, bodies_of
from topfive_pipeline.under_load.load import Probe

SHARES: Final = (0.2, 0.4, 0.6, 0.75, 0.85)
"""Loads, of the most that the simulated servers do."""
PERCENTS: Final = ("50", "99")
WITHIN: Final = 0.15
SIMULATED_SECONDS: Final = 120.0
CONNECTIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Point:
    """One load of one setup: percentiles in seconds, predicted and, of each round, measured."""

    setup: str
    share: float
    rate: float
    predicted: dict[str, float]
    measured: dict[str, list[float]]

    def ratio(self, percent: str) -> float:
        """Predicted to measured, the median of the rounds."""
        return self.predicted[percent] / median(self.measured[percent])


def judge(points: Sequence[Point]) -> list[Check]:
    """Check that every prediction is within the bound."""
    return [
        Check(
            name=f"{point.setup}, {point.share:.0%} of the most, p{percent}: off by",
            seen=abs(point.ratio(percent) - 1) * 100,
            wanted=WITHIN * 100,
            unit="%",
            met=abs(point.ratio(percent) - 1) <= WITHIN,
        )
        for point in points
        for percent in PERCENTS
    ]


def markdown(points: Sequence[Point]) -> str:
    """A row for each load."""
    header = ("servers", "load", "images/s", *(f"p{each}, ms: {what}" for each in PERCENTS for what in _COLUMNS))
    rows = [
        [
            point.setup,
            f"{point.share:.0%}",
            f"{point.rate:.0f}",
            *(cell for percent in PERCENTS for cell in _cells(point, percent)),
        ]
        for point in points
    ]
    return tables.markdown(tables.of([list(header), *rows]))


_COLUMNS: Final = ("predicted", "measured", "rounds", "ratio")


def _cells(point: Point, percent: str) -> list[str]:
    rounds = sorted(point.measured[percent])
    return [
        f"{point.predicted[percent] * 1e3:.1f}",
        f"{median(rounds) * 1e3:.1f}",
        f"{rounds[0] * 1e3:.1f}–{rounds[-1] * 1e3:.1f}",
        f"{point.ratio(percent):.2f}",
    ]


@contextmanager
def one_server(repository: Path) -> Iterator[str]:
    """A server with all cores."""
    with closing(Service(repository)) as service:
        yield service.http_url


@contextmanager
def two_behind_nginx(repository: Path, *flags: str, backend: str = "embedded") -> Iterator[tuple[str, nginx.Nginx]]:
    """Two servers with one core each, behind nginx."""
    with tempfile.TemporaryDirectory(prefix="topfive-nginx-") as folder, ExitStack() as stack:
        both = [
            stack.enter_context(closing(Service(repository, "--cores", "1", *flags, backend=backend))) for _ in range(2)
        ]
        proxy = nginx.Nginx.before(Path(folder), replicas=[service.address for service in both], port=free_port())
        stack.callback(proxy.close)
        yield f"http://127.0.0.1:{proxy.address[1]}", proxy


def proxy_seconds(repository: Path, requests: Sequence[bytes], generator: Generator) -> float:
    """Core seconds that a request takes of nginx, in front of servers that compute nothing."""
    with two_behind_nginx(repository, backend="null") as (url, proxy):
        generator.closed(url, requests, connections=CONNECTIONS, seconds=0.5)
        before = cpu_seconds(family(proxy.process.pid))
        load = generator.closed(url, requests, connections=CONNECTIONS, seconds=2.0)
        return (cpu_seconds(family(proxy.process.pid)) - before) / (2.0 * load.rate)


def predicted(site: Site, rate: float) -> dict[str, float]:
    """The percentiles of a simulated load."""
    arrivals = poisson(site.costs.kinds, rate=rate, seconds=SIMULATED_SECONDS, seed=1)
    found = opened(site, arrivals, after=0.1 * SIMULATED_SECONDS).probe(rate)
    return {percent: found.at(percent) for percent in PERCENTS}


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    model: o.Model = o.MODEL,
    images: o.Images = None,
    mix: Annotated[str, Option(help="what is sent, as for `topfive plan`")] = "jpeg",
    rounds: o.Rounds = 3,
    seconds: Annotated[float, Option(min=0.1, help="of each load in each round")] = 12.0,
    measure: Annotated[float, Option(min=1.0, help="seconds to measure the costs in, for each setup")] = 40.0,
    costs: Annotated[Path | None, Option(metavar="FILE", help="write the costs of the one server to this file")] = None,
    json: o.Json = None,
) -> int:
    """Predicted latencies against those of real servers, one and two, at five loads: all within 15 %."""
    if not proxies.is_there(nginx.PROGRAM):
        raise SystemExit("there is no nginx; on Debian and Ubuntu: apt-get install nginx-light")
    repository = model_repository.resolve()
    photos = shipped() if images is None else read_photos(images, most=MOST)
    kinds = mix_of(mix)
    requests = interleaved([(kind, share, bodies_of(photos, kind)) for kind, share in kinds], model)
    points: list[Point] = []
    with Generator() as generator:
        for setup, cores in (("one, all cores", 0), ("two of one core", 1)):
            wanted = Wanted(model=model, repository=repository, mix=kinds, cores=cores, seconds=measure)
            known = calibrate(wanted, photos, progress=lambda _: None)
            if cores:
                extra = proxy_seconds(repository, requests, generator)
                known = replace(known, client_seconds=known.client_seconds + extra)
            elif costs is not None:
                cost_files.write(known, costs)
            points += _points(setup, known, generator, requests, repository, rounds=rounds, seconds=seconds)
    return report.finish(
        judge(points),
        shown=[markdown(points)],
        json=json,
        document={"points": points, "cores": usable_cores(), "load_average": os.getloadavg()},
    )


def _points(
    setup: str,
    costs: Costs,
    generator: Generator,
    requests: Sequence[bytes],
    repository: Path,
    *,
    rounds: int,
    seconds: float,
) -> list[Point]:
    count = 2 if costs.cores == 1 else 1
    site = Site(costs=shared_with_client(costs), replicas=count, machine_cores=usable_cores())
    most = closed(site, connections=CONNECTIONS, seconds=30.0).rate
    points = [
        Point(setup, share, share * most, predicted(site, share * most), {percent: [] for percent in PERCENTS})
        for share in SHARES
    ]
    with ExitStack() as stack:
        if count == 1:
            url = stack.enter_context(one_server(repository))
        else:
            url, _ = stack.enter_context(two_behind_nginx(repository))
        generator.closed(url, requests, connections=CONNECTIONS, seconds=1.0)
        for number in range(rounds):
            for place, point in enumerate(points):
                probe = generator.opened(
                    url, requests, rate=point.rate, seconds=seconds, seed=len(points) * number + place
                )
                _keep(point, probe)
    return points


def _keep(point: Point, probe: Probe) -> None:
    for percent in PERCENTS:
        point.measured[percent].append(probe.at(percent))
    line = ", ".join(f"p{each} {probe.at(each) * 1e3:.1f} ms ({point.predicted[each] * 1e3:.1f})" for each in PERCENTS)
    print(f"{point.setup}, {point.rate:.0f}/s: {line}, {probe.failed} failed {probe.fault}", flush=True)
