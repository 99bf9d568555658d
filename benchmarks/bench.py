"""The windows of an `overhead` run in their order: rounds in which service and bare loop alternate."""

import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import figures as f
from benchmarks import machine, workloads
from benchmarks.figures import FRONT_END, LONE, Config, Window
from benchmarks.server import Service
from topfive_loadgen.closed_loop import Load, drive
from topfive_loadgen.metrics import Difference
from topfive_loadgen.percentiles import percentile_of

REMEASURED = 3  # how many of the first round's best bare configurations are measured again in later rounds


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchPlan:
    """What to measure, and for how long."""

    scenarios: Sequence[str]
    connections: Sequence[int]
    configs: Sequence[Config]
    rounds: int
    starts: int
    warm_seconds: float
    window_seconds: float
    bare_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Measures windows of service and bare loop. While one works the other sleeps; each window checks it."""

    plan: BenchPlan
    service: Service
    front_end: Service
    measure_bare: Callable[[str, Config], dict[str, float]]
    bare_cpu_seconds: Callable[[], float]
    requests: Mapping[str, Sequence[bytes]]
    answers: Mapping[str, Sequence[Collection[int]]]

    def windows(self) -> Iterator[Window]:
        """All windows of all rounds. Rounds after the first measure only the best bare configurations."""
        best: dict[str, Sequence[Config]] = {}
        for turn in range(self.plan.rounds):
            for scenario in self.plan.scenarios:
                if scenario in FRONT_END:
                    yield self._service_window(turn, scenario, connections=f.NULL_CONNECTIONS)
                    continue
                configs = dict.fromkeys([*best.get(scenario, self.plan.configs), *LONE])
                rates = {}
                for step in interleave(list(configs), self.plan.connections, turn=turn / self.plan.rounds):
                    if isinstance(step, int):
                        yield self._service_window(turn, scenario, connections=step)
                    else:
                        yield (window := self._bare_window(turn, scenario, config=step))
                        rates[step] = window.values[f.IMAGES]
                best.setdefault(scenario, sorted(rates, key=rates.__getitem__)[-REMEASURED:])

    def _service_window(self, turn: int, scenario: str, *, connections: int) -> Window:
        service = self.front_end if scenario in FRONT_END else self.service
        before = service.metrics()
        try:
            load = drive(
                service.http_url,
                self.requests[scenario],
                connections=connections,
                warm_seconds=self.plan.warm_seconds,
                window_seconds=self.plan.window_seconds,
                meters=(service.cpu_seconds, machine.busy_seconds),
            )
        except (OSError, ValueError) as error:
            raise SystemExit(f"{error}\nthe end of the service's log:\n{service.log()}") from error
        gained = Difference(before, service.metrics())
        right = self.answers[scenario]
        wrong = [one for one in load.exchanges if not workloads.is_right(one.response, right[one.request])]
        if wrong:
            print(f"wrong, not one of {right[wrong[0].request]}: {wrong[0]}", file=sys.stderr)
        stages = {stage: gained.mean("topfive_stage_duration_seconds", stage=stage) for stage in f.STAGES}
        batch = gained.mean("topfive_batch_size")
        values = {
            **client_figures(load, wrong=len(wrong)),
            **{stage: seconds * 1e3 for stage, seconds in stages.items() if seconds is not None},
            **({} if batch is None else {f.BATCH: batch}),
        }
        return Window(turn, scenario, connections, values)

    def _bare_window(self, turn: int, scenario: str, *, config: Config) -> Window:
        meters = (time.perf_counter, machine.busy_seconds, self.bare_cpu_seconds, time.process_time)
        before = [read() for read in meters]
        values = self.measure_bare(scenario, config)
        seconds, busy, *own = (read() - first for read, first in zip(meters, before, strict=True))
        return Window(turn, scenario, config, {**values, f.BYSTANDER: (busy - sum(own)) / seconds})


def client_figures(load: Load, *, wrong: int) -> dict[str, float]:
    """The figures of a load. Its last meter is the CPU of the whole machine; the others are the server's."""
    rate = load.requests_per_second
    *own, busy = load.cpu_rates
    latencies = [(one.ended - one.started) * 1e3 for one in load.exchanges]
    return {
        f.IMAGES: rate,
        f.CPU: sum(own) / rate * 1e3,
        f.CLIENT_CPU: load.client_cpu_rate / rate * 1e3,
        **{name: percentile_of(latencies, percent) for name, percent in f.PERCENTILES.items()},
        f.WRONG: wrong,
        f.BYSTANDER: busy - sum(own) - load.client_cpu_rate,
    }


def interleave(configs: Sequence[Config], connections: Sequence[int], *, turn: float) -> list[Config | int]:
    """Both kinds of windows evenly mixed, rotated by `turn` (0 to 1 of the whole)."""
    placed: list[tuple[float, int, Config | int]] = [
        *((place / len(configs), 0, config) for place, config in enumerate(configs)),
        *((place / len(connections), 1, count) for place, count in enumerate(connections)),
    ]
    mixed = deque(step for *_, step in sorted(placed, key=lambda item: item[:2]))
    mixed.rotate(-round(turn * len(mixed)))
    return list(mixed)
