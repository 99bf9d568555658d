"""Whether a tenant that floods the service harms another: `python -m benchmarks fairness`.

A tenant floods at five times the capacity, and another asks for a tenth of the capacity, a fifth of its fair share.
One service does not tell them apart (its keys have no names), the other does; nothing else differs. The same load runs
on each in turn, so the ratios are of interleaved runs. Then two tenants flood, of which one weighs twice the other.
"""

import math
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas
from PIL import Image
from typer import Option

from benchmarks import machine, report, workloads
from benchmarks import options as o
from benchmarks.load_figures import OK
from benchmarks.overload import closed_loop
from benchmarks.server import Service
from topfive_loadgen import tables, verdict
from topfive_loadgen.aside import Aside
from topfive_loadgen.drawing import STYLE
from topfive_loadgen.open_loop import drive as drive_open
from topfive_loadgen.percentiles import percentile_of
from topfive_loadgen.plan import LAG_LIMIT_OF_COUNTS_SECONDS, Done, OpenLoad

ALONE, APART, ALIKE, WEIGHED = "alone", "told apart", "not told apart", "two flood, 2 to 1"
LIGHT, FLOOD, HEAVY, OTHER = "light", "flood", "heavy", "other"
KEYS = {name: f"{name}-0123456789abcdef" for name in (LIGHT, FLOOD, HEAVY, OTHER)}
WEIGHTS = {HEAVY: 2}
FLOODS, ASKS = 5.0, 0.1
"""Rates, in capacities."""
COLOURS = {LIGHT: "#0b7285", FLOOD: "#e8590c", HEAVY: "#0b7285", OTHER: "#e8590c"}
REFUSED_MOST = 0.01
SLOWER_MOST = 0.5
"""Target: p99 of the light tenant where it is told apart, divided by its p99 where it is not."""
RATIO, RATIO_LEAST, RATIO_MOST = 2.0, 1.8, 2.2
KEPT_LEAST = 0.9
"""Target: all answers per second where tenants are told apart, of those where they are not."""
FLAGS = ("--precision", "fp32", "--no-log-requests")


@dataclass(frozen=True, slots=True)
class Part:
    """What one tenant sent and got in one phase of one round; `after`: the seconds of the warm-up."""

    phase: str
    turn: int
    tenant: str
    after: float
    done: Done

    @property
    def answered(self) -> list[float]:
        """The latencies of its answers, in seconds."""
        return [one.latency for one in self.done.samples if one.scheduled >= self.after and one.status == OK]

    @property
    def faults(self) -> list[str]:
        """Why it does not count. Who floods may send late: on few cores it competes with the service."""
        return self.done.faults(lag_limit_seconds=LAG_LIMIT_OF_COUNTS_SECONDS if self.tenant == LIGHT else math.inf)

    @property
    def sent(self) -> int:
        """How many requests it sent."""
        return sum(one.scheduled >= self.after for one in self.done.samples)

    @property
    def rate(self) -> float:
        """Answers per second, by the time at which they came."""
        seconds = self.done.seconds - self.after
        return (
            sum(self.after <= one.done < self.done.seconds and one.status == OK for one in self.done.samples) / seconds
        )


class Fairness:
    """The phases against two services, `apart` and `alike`; `requests` without the key."""

    def __init__(self, apart: Service, alike: Service, requests: Sequence[bytes], *, seconds: float) -> None:
        self._apart, self._alike = apart, alike
        self._requests = {
            name: [one.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {key}\r\n\r\n".encode(), 1) for one in requests]
            for name, key in KEYS.items()
        }
        self._seconds = seconds
        self._warm = seconds / 5

    def parts(self, first: Aside, second: Aside, rounds: int) -> Iterator[Part]:
        """All phases of all rounds; the capacity is measured anew in each."""
        for turn in range(rounds):
            capacity = first.run(
                closed_loop,
                url=self._apart.http_url,
                requests=self._requests[LIGHT],
                warm_seconds=self._warm,
                seconds=self._seconds / 2,
            )
            asks, floods = ASKS * capacity, FLOODS * capacity
            print(f"round {turn + 1}  capacity {capacity:.0f}/s", file=sys.stderr)
            yield from self._phase(ALONE, turn, self._apart, {LIGHT: asks}, [first])
            order = [(APART, self._apart), (ALIKE, self._alike)]
            for phase, service in order if turn % 2 else reversed(order):
                yield from self._phase(phase, turn, service, {LIGHT: asks, FLOOD: floods}, [first, second])
            both = {HEAVY: floods / 2, OTHER: floods / 2}
            yield from self._phase(WEIGHED, turn, self._apart, both, [first, second])

    def _phase(
        self, phase: str, turn: int, service: Service, rates: dict[str, float], asides: Sequence[Aside]
    ) -> Iterator[Part]:
        for number, ((tenant, rate), aside) in enumerate(zip(rates.items(), asides, strict=True)):
            plan = OpenLoad(
                url=service.http_url,
                requests=self._requests[tenant],
                rate=rate,
                seconds=self._warm + self._seconds,
                seed=2 * turn + number,
            )
            aside.start(drive_open, plan=plan)
        for tenant, aside in zip(rates, asides, strict=True):
            yield Part(phase, turn, tenant, self._warm, aside.result())


def key_file(folder: Path, *, named: bool) -> Path:
    """A file of all keys, of tenants of their own if `named`."""
    path = folder / f"keys-{named}"
    words = {name: f" name={name} weight={WEIGHTS.get(name, 1)}" if named else "" for name in KEYS}
    path.write_text("".join(f"{key}{words[name]}\n" for name, key in KEYS.items()))
    return path


def small(payloads: Mapping[str, workloads.Workload]) -> workloads.Workload:
    """Images that cost a generator of many requests little."""
    crops = [each for each in payloads[workloads.RAW224] if not isinstance(each, bytes)]
    return [np.asarray(Image.fromarray(each).resize((64, 64))) for each in crops]


class Figures:
    """The figures of all rounds together."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = parts

    def of(self, phase: str, tenant: str) -> list[Part]:
        """What the tenant got in this phase of each round."""
        return [part for part in self._parts if (part.phase, part.tenant) == (phase, tenant)]

    def p99(self, phase: str, tenant: str) -> float:
        """In milliseconds, of all rounds."""
        return percentile_of([1e3 * seconds for part in self.of(phase, tenant) for seconds in part.answered], 99)

    def refused(self, phase: str, tenant: str) -> float:
        """The share of requests that were not answered."""
        parts = self.of(phase, tenant)
        return 1 - sum(len(part.answered) for part in parts) / max(1, sum(part.sent for part in parts))

    def rate(self, phase: str, tenant: str) -> float:
        """Answers per second, the mean of the rounds."""
        return statistics.fmean(part.rate for part in self.of(phase, tenant))

    def totals(self, phase: str) -> list[float]:
        """All answers per second, of each round."""
        parts = zip(self.of(phase, LIGHT), self.of(phase, FLOOD), strict=True)
        return [light.rate + flood.rate for light, flood in parts]

    def kept(self) -> float:
        """All answers where tenants are told apart, of those where they are not: the median of the rounds' ratios."""
        pairs = zip(self.totals(APART), self.totals(ALIKE), strict=True)
        return float(statistics.median([apart / alike for apart, alike in pairs]))

    def checks(self) -> list[verdict.Check]:
        """What must hold."""
        ratio = self.rate(WEIGHED, HEAVY) / max(1e-9, self.rate(WEIGHED, OTHER))
        slower = self.p99(APART, LIGHT) / self.p99(ALIKE, LIGHT)
        return [
            verdict.at_most(
                "refused to the light tenant", self.refused(APART, LIGHT), REFUSED_MOST, unit=verdict.SHARE
            ),
            verdict.at_most(
                "its p99, of that where tenants are not told apart", slower, SLOWER_MOST, unit=verdict.SHARE
            ),
            verdict.at_least("two that flood, 2 to 1: ratio of their answers", ratio, RATIO_LEAST),
            verdict.at_most("two that flood, 2 to 1: ratio of their answers", ratio, RATIO_MOST),
            verdict.at_least("all answers, of those where not told apart", self.kept(), KEPT_LEAST),
        ]

    def markdown(self) -> str:
        """A line for each tenant in each phase."""
        places = dict.fromkeys((part.phase, part.tenant) for part in self._parts)
        lines = [
            (
                phase,
                tenant,
                f"{self.rate(phase, tenant):.1f}",
                f"{100 * self.refused(phase, tenant):.1f} %",
                f"{percentile_of([1e3 * s for part in self.of(phase, tenant) for s in part.answered], 50):.0f}",
                f"{self.p99(phase, tenant):.0f}",
            )
            for phase, tenant in places
        ]
        return tables.markdown(tables.of([("phase", "tenant", "answers/s", "refused", "p50 ms", "p99 ms"), *lines]))

    def draw(self, path: Path) -> None:
        """Draw latency and refusals of the light tenant, and the shares of two that flood."""
        with mpl.rc_context(STYLE):
            canvas = Canvas(figsize=(10, 3.4), layout="constrained")
            latency, refused, shares = canvas.subplots(1, 3)
            phases = (ALONE, APART, ALIKE)
            latency.set_title("Light tenant: p99, ms")
            latency.bar(phases, [self.p99(phase, LIGHT) for phase in phases], color=COLOURS[LIGHT])
            refused.set_title("Light tenant: refused, %")
            refused.bar(phases, [100 * self.refused(phase, LIGHT) for phase in phases], color=COLOURS[FLOOD])
            refused.set_ylim(0, 100)
            shares.set_title("Two that flood: answers/s")
            for tenant in (HEAVY, OTHER):
                label = f"weight={WEIGHTS.get(tenant, 1)}"
                shares.bar([label], [self.rate(WEIGHED, tenant)], color=COLOURS[tenant])
            for axes in (latency, refused, shares):
                for bars in axes.containers:
                    axes.bar_label(bars, fmt="%.0f", fontsize=9)
            canvas.savefig(path, dpi=150)


def main(
    *,
    model_repository: o.Repository = o.REPOSITORY,
    images: o.Images = None,
    scenario: Annotated[
        Literal["small", "jpeg"], Option(help="64x64 pixels, which cost the generator little")
    ] = "small",
    rounds: o.Rounds = 3,
    seconds: o.PhaseSeconds = 6.0,
    json: o.Json = None,
    plot: Annotated[Path | None, Option(metavar="FILE", help="draw the figures into this file")] = None,
) -> int:
    """Measure what a tenant that floods does to another, where the service tells them apart and where it does not."""
    payloads = workloads.load(images)
    requests = [*map(workloads.request, payloads[workloads.JPEG] if scenario == "jpeg" else small(payloads))]
    parts = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        apart, alike = (
            stack.enter_context(
                closing(
                    Service(
                        model_repository.resolve(),
                        *FLAGS,
                        "--api-keys-file",
                        str(key_file(Path(folder), named=named)),
                    )
                )
            )
            for named in (True, False)
        )
        first, second = (stack.enter_context(Aside()) for _ in range(2))
        for part in Fairness(apart, alike, requests, seconds=seconds).parts(first, second, rounds):
            parts.append(part)
            latency = percentile_of([1e3 * each for each in part.answered], 99)
            print(
                f"round {part.turn + 1}  {part.phase:18} {part.tenant:6} {part.sent:6} sent, "
                f"{part.rate:6.1f} answers/s, p99 {latency:.0f} ms",
                file=sys.stderr,
            )
    found = Figures(parts)
    if plot:
        found.draw(plot)
    faults = [f"{part.phase}, {part.tenant}: {fault}" for part in parts for fault in part.faults]
    environment = {"scenario": scenario, **machine.environment([])}
    document = {"environment": environment, "table": found.markdown()}
    return report.finish(found.checks(), faults, shown=[found.markdown()], json=json, document=document)
