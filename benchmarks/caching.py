"""What the answer cache brings, and what it costs where no image comes again: `python -m benchmarks caching`.

Two services differ in the cache only, and get the same requests in turn, so that ratios are of interleaved runs. Which
photo is asked for follows Zipf's law with several exponents, over more photos than the cache holds. Then come photos
that never hit, each as long after itself as there are photos. What such a miss costs is too little to be seen beside a
network on a noisy machine; so it is measured as CPU on two services whose backend answers at once, and held against the
CPU of an image that is computed. Last, caches of several sizes are held against theory, on such a backend.
"""

import statistics
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from typer import Option

from benchmarks import caching_plot, report, workloads, zipf
from benchmarks import options as o
from benchmarks.repeating import Mix, closed, is_hit, opened
from benchmarks.server import Service
from topfive_loadgen import tables, verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.asking import ask
from topfive_loadgen.cli import several
from topfive_loadgen.percentiles import percentile_of

OFF, ON, NULL_OFF, NULL_ON = "off", "on", "null off", "null on"
FLAGS: Final = ("--no-log-requests", "--precision", "fp32")
CACHE_BYTES: Final = 170_000
"""About a tenth of the photos' answers."""
SIZES: Final = (34_000, 85_000, 170_000, 340_000, 850_000)
MISSES: Final = {workloads.JPEG: "JPEG, no hits", workloads.RAW224: "raw 224 x 224, no hits"}
COST_MOST: Final = 0.02
"""Target: CPU that a miss adds, of the CPU of an image without a cache."""
APART_MOST: Final = 0.03
"""Target: how far the hit rate may be from theory."""
OPEN_SHARE: Final = 0.5
"""The fixed load, of the least rate that the service without a cache came to so far: machines are noisy."""


@dataclass(frozen=True, slots=True)
class Window:
    """What came of one run: answers per second or latencies in ms, hits, and CPU seconds of the service an image."""

    name: str
    setting: str
    turn: int
    rate: float = 0.0
    latencies: Sequence[float] = ()
    hit_rate: float = 0.0
    cpu: float = 0.0
    faults: Sequence[str] = ()


class Bench:
    """The services, and the process that sends."""

    def __init__(self, repository: Path, folder: Path | None, stack: ExitStack, *, seconds: float, seed: int) -> None:
        cached = ("--answer-cache-bytes", str(CACHE_BYTES))
        self.services = {
            OFF: stack.enter_context(closing(Service(repository, *FLAGS))),
            ON: stack.enter_context(closing(Service(repository, *FLAGS, *cached))),
            NULL_OFF: stack.enter_context(closing(Service(repository, *FLAGS, backend="null"))),
            NULL_ON: stack.enter_context(closing(Service(repository, *FLAGS, *cached, backend="null"))),
        }
        self._aside = stack.enter_context(Aside())
        self._folder = folder
        self._seconds = seconds
        self._seed = seed
        self.windows: list[Window] = []

    def mix(self, kind: str, exponent: float | None, turn: int) -> Mix:
        return Mix(kind, exponent, self._folder, self._seed + turn)

    def closed(self, name: str, mix: Mix, setting: str, turn: int) -> None:
        """One window at saturation."""
        service = self.services[setting]
        images, cpu = service.metric("topfive_images_total"), service.cpu_seconds()
        rate, hits, bad = self._aside.run(
            closed, url=service.http_url, mix=mix, warm_seconds=self._seconds / 4, seconds=self._seconds
        )
        cpu, images = service.cpu_seconds() - cpu, service.metric("topfive_images_total") - images
        faults = [f"{bad} answers were not good"] if bad else []
        self.windows.append(Window(name, setting, turn, rate=rate, hit_rate=hits, cpu=cpu / images, faults=faults))

    def fill(self, mix: Mix) -> None:
        """Let the cache come to what it holds of a mix in the long run; nothing is counted."""
        url = self.services[ON].http_url
        self._aside.run(closed, url=url, mix=mix, warm_seconds=self._seconds, seconds=self._seconds / 4)

    def opened(self, name: str, mix: Mix, setting: str, turn: int, *, rate: float) -> None:
        """One window at a fixed load."""
        latencies, hits, faults = self._aside.run(
            opened, url=self.services[setting].http_url, mix=mix, rate=rate, seconds=2 * self._seconds
        )
        self.windows.append(Window(f"{name}, open", setting, turn, 0.0, latencies, hits, faults=faults))

    def of(self, name: str, setting: str) -> list[Window]:
        return [each for each in self.windows if (each.name, each.setting) == (name, setting)]

    def ratio(self, name: str, of: str) -> float:
        """The median over the rounds of a figure with the cache, divided by that of the same round without."""
        pairs = zip(self.of(name, ON), self.of(name, OFF), strict=True)
        return statistics.median([float(getattr(on, of) / getattr(off, of)) for on, off in pairs])

    def latency(self, name: str, setting: str, share: float) -> float:
        """A percentile of the latencies of all rounds."""
        windows = self.of(f"{name}, open", setting)
        return percentile_of([latency for each in windows for latency in each.latencies], share)

    def miss_seconds(self, name: str) -> float:
        """CPU that an image costs more because it is not in the cache, the median over the rounds."""
        pairs = zip(self.of(name, NULL_ON), self.of(name, NULL_OFF), strict=True)
        return statistics.median(on.cpu - off.cpu for on, off in pairs)

    def miss_cost(self, name: str) -> float:
        """The same, of the CPU of an image without a cache."""
        return self.miss_seconds(name) / statistics.median(each.cpu for each in self.of(name, OFF))

    def hit_rate(self, name: str) -> float:
        return statistics.median(each.hit_rate for each in self.of(name, ON))


def in_theory(
    repository: Path, exponents: Sequence[float], aside: Aside, *, seconds: float, seed: int
) -> list[caching_plot.Point]:
    """Hit rates of caches of several sizes, measured and by theory, which knows no images that come at once."""
    points = []
    for nbytes in SIZES:
        with closing(Service(repository, *FLAGS, "--answer-cache-bytes", str(nbytes), backend="null")) as service:
            for exponent in exponents:
                mix = Mix("small", exponent, None, seed, length=40_000)
                _, hits, _ = aside.run(
                    closed, url=service.http_url, mix=mix, warm_seconds=seconds, seconds=seconds, connections=1
                )
                entries = service.metric("topfive_cache_entries")
                theory = zipf.hit_rate(zipf.shares(mix.distinct, exponent), entries)
                points.append(caching_plot.Point(exponent, entries / mix.distinct, hits, theory))
    return points


def main(
    *,
    exponents: Annotated[
        Sequence[float], Option(parser=several(float), metavar="S,S", help="Zipf's exponents, measured in turn")
    ] = (0.6, 0.9, 1.1),
    seconds: Annotated[float, Option(min=0.2, help="counted seconds of each window; at a fixed load, twice")] = 1.7,
    rounds: o.Rounds = 3,
    repository: o.Repository = o.REPOSITORY,
    images: o.Images = None,
    seed: o.Seed = 1,
    plot: Annotated[Path | None, Option(metavar="FILE", help="draw hit rates and throughput into this file")] = None,
    json: o.Json = None,
) -> int:
    """Measure the answer cache on a Zipf mix of photos, in turn with none, and what a miss costs."""
    names = {exponent: f"s = {exponent:g}" for exponent in exponents}
    with ExitStack() as stack:
        bench = Bench(repository, images, stack, seconds=seconds, seed=seed)
        for exponent, name in names.items():
            bench.fill(bench.mix(workloads.JPEG, exponent, -1))
            for turn in range(rounds):
                mix = bench.mix(workloads.JPEG, exponent, turn)
                order = (OFF, ON) if turn % 2 == 0 else (ON, OFF)
                for setting in order:
                    bench.closed(name, mix, setting, turn)
                rate = OPEN_SHARE * min(each.rate for each in bench.of(name, OFF))
                for setting in order:
                    bench.opened(name, mix, setting, turn, rate=rate)
        for turn in range(2 * rounds):
            for kind, name in MISSES.items():
                both = (NULL_OFF, NULL_ON, OFF, ON) if turn < rounds else (NULL_OFF, NULL_ON)
                for setting in both if turn % 2 == 0 else both[::-1]:
                    bench.closed(name, bench.mix(kind, None, turn), setting, turn)
        differing = _differing(bench.services[ON], bench.mix(workloads.JPEG, None, 0))
    with Aside() as aside:
        points = in_theory(repository, exponents, aside, seconds=seconds / 2, seed=seed)
    rows: list[tuple[str, ...]] = [
        ("mix", "hits", "answers/s", "without", "ratio", "p50, ms", "without", "p99, ms", "without")
    ]
    rows += [_row(bench, name) for name in names.values()]
    misses: list[tuple[str, ...]] = [("no hits", "CPU of an image, ms", "a miss adds, ms", "that is")]
    for name in MISSES.values():
        cpu = statistics.median(each.cpu for each in bench.of(name, OFF))
        added = bench.miss_seconds(name)
        misses.append((name, f"{1e3 * cpu:.2f}", f"{1e3 * added:.3f}", tables.percent(added / cpu)))
    apart = max(abs(each.measured - each.theory) for each in points)
    if plot is not None:
        gains = {exponent: bench.ratio(name, "rate") for exponent, name in names.items()}
        caching_plot.draw(points, gains, plot)
    shown = [*(tables.markdown(tables.of(each)) for each in (rows, misses, _theory(points)))]
    hits = [each.hit_rate for each in bench.windows if each.name in MISSES.values()]
    costs = {name: bench.miss_cost(name) for name in MISSES.values()}
    checks = [
        verdict.at_most("hits where there should be none", max(hits), 0, unit=verdict.SHARE),
        *(verdict.at_most(f"a miss: {name}", cost, COST_MOST, unit=verdict.SHARE) for name, cost in costs.items()),
        verdict.at_most("hit rate apart from theory", apart, APART_MOST),
        verdict.none_of("answers from the cache that are not the first ones", differing),
    ]
    faults = [fault for window in bench.windows for fault in window.faults]
    document = {"windows": bench.windows, "points": points}
    return report.finish(checks, faults, shown=shown, json=json, document=document)


def _differing(service: Service, mix: Mix) -> list[str]:
    """Photos whose second answer is not the first one, to the last byte, or is no hit."""
    found = []
    for request in mix.requests()[:20]:
        first, again = (ask(service.address, request) for _ in range(2))
        if first.body != again.body or not is_hit(again):
            found.append(f"{first.body!r}, then {again.body!r}")
    return found


def _row(bench: Bench, name: str) -> tuple[str, ...]:
    rates = [statistics.median(each.rate for each in bench.of(name, setting)) for setting in (ON, OFF)]
    latencies = [f"{bench.latency(name, setting, share):.1f}" for share in (50, 99) for setting in (ON, OFF)]
    gain = f"{bench.ratio(name, 'rate'):.2f}"
    return (name, f"{100 * bench.hit_rate(name):.1f} %", *(f"{rate:.0f}" for rate in rates), gain, *latencies)


def _theory(points: Sequence[caching_plot.Point]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("s", "answers kept / images", "hits", "by theory")]
    rows += [
        (
            f"{each.exponent:g}",
            f"{100 * each.share:.1f} %",
            f"{100 * each.measured:.1f} %",
            f"{100 * each.theory:.1f} %",
        )
        for each in points
    ]
    return rows
