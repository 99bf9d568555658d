"""Runs as they would be stored, of a service that does not exist: the same at each call, with every section filled."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np

from loadtests.results import (
    Capacity,
    Cell,
    Mix,
    Moment,
    Null,
    OpenRun,
    Run,
    Server,
    ShapePoint,
    ShapeRun,
    Window,
)
from topfive_loadgen.percentiles import Latencies, summarise

WORKERS: Final = (1, 2, 4, 8, 16)
THROUGHPUT: Final[Mapping[Mix, float]] = {"random": 210.0, "complex": 32.0}
KINDS: Final[Mapping[Mix, tuple[str, ...]]] = {
    "random": ("photo",),
    "complex": ("12 MP raw", "12 MP JPEG", "CMYK JPEG", "16-bit PNG", "tiny"),
}
SCENARIOS: Final = ("raw", "jpeg", "oip", "grpc")
WINDOW_SECONDS: Final = 10.0


@cache
def stored_run(name: str = "embedded", *, speed: float = 1.0, commit: str = "5f2c0de") -> Run:
    """A run on 2 cores; `speed`: of its service, against the usual one."""
    seeded = random.Random(5)
    closed = [_cell(mix, workers, speed=speed, seeded=seeded) for mix in THROUGHPUT for workers in WORKERS]
    # The last one is as a cell looks that never settled.
    closed[-1] = replace(closed[-1], settled=False, errors={"503 queue_full": 7, "wrong label": 1})
    return Run(
        name=name,
        url="http://127.0.0.1:18080",
        began="2026-11-21T08:00:00Z",
        seconds=731.5,
        environment={
            "cores": 2,
            "cpu": "AMD EPYC 9B14",
            "system": "Linux 6.1",
            "python": "3.11.2",
            "model": "efficientnet_lite0",
            "model sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "commit": commit,
            "versions": {"locust": "2.47.1", "onnxruntime": "1.23.2", "numpy": "2.4.6"},
            "settings": {"workers": "2", "max_batch_size": "8", "queue_delay_seconds": "0.002"},
        },
        null=_null(seeded),
        closed=closed,
        shapes=[_shape(shape, seeded=seeded) for shape in ("spike", "ramp")],
        open=[_open("random", rate, speed=speed, seeded=seeded) for rate in (40.0, 80.0)],
        capacities=[_capacity(objective, speed=speed, seeded=seeded) for objective in (0.05, 0.1)],
        moments=_moments(seeded),
    )


def latencies(median: float, count: int, *, seeded: random.Random, spread: float = 0.25) -> Latencies | None:
    """Of samples drawn, lognormal, one in a hundred of which waited for something."""
    drawing = np.random.default_rng(seeded.getrandbits(32))
    drawn = drawing.lognormal(0, spread, count) * np.where(drawing.random(count) < 0.01, 3, 1)
    return summarise((median * drawn).tolist())


def _cell(mix: Mix, workers: int, *, speed: float, seeded: random.Random, in_parts: bool = True) -> Cell:
    """`in_parts`: with the latencies of each scenario and kind."""
    throughput = THROUGHPUT[mix] * speed * workers / (workers + 0.6)
    median = workers / throughput
    count = round(throughput * WINDOW_SECONDS * 3)
    windows = [_window(number, throughput, median, seeded=seeded) for number in range(4)]
    parts = {
        name: latencies(median, max(count // 4, 30), seeded=seeded) for name in (*SCENARIOS, *KINDS[mix]) if in_parts
    }
    present = {name: part for name, part in parts.items() if part}
    return Cell(
        mix=mix,
        workers=workers,
        processes=1,
        windows=windows,
        agreed=3,
        settled=True,
        throughput=sum(window.count for window in windows[1:]) / (3 * WINDOW_SECONDS),
        latency=latencies(median, count, seeded=seeded),
        scenarios={name: part for name, part in present.items() if name in SCENARIOS},
        kinds={name: part for name, part in present.items() if name not in SCENARIOS},
        errors={"timeout": 1} if workers == 16 else {},
        server=_server(median, workers=workers, complex_mix=mix == "complex"),
        generator_cores=0.02 + throughput / 4000,
    )


def _window(number: int, throughput: float, median: float, *, seeded: random.Random) -> Window:
    drawn = [seeded.uniform(0.98, 1.02) for _ in range(3)]
    return Window(
        began=12.0 * number,
        seconds=WINDOW_SECONDS,
        count=round(throughput * WINDOW_SECONDS * drawn[0]),
        errors=0,
        p50=median * drawn[1],
        p99=median * 2.2 * drawn[2],
    )


def _server(median: float, *, workers: int, complex_mix: bool) -> Server:
    shares = (0.35, 0.25, 0.2, 0.2) if complex_mix else (0.05, 0.1, 0.15 + workers / 40, 0.7 - workers / 40)
    names = ("decode", "resize", "queue", "inference")
    return Server(
        cpu_cores=min(1.94, 0.9 + workers * 0.3),
        resident_bytes=4.1e8 + workers * (3.2e7 if complex_mix else 2.0e6),
        mean_batch=min(6.0, 1 + workers * 0.3),
        stages={name: share * median for name, share in zip(names, shares, strict=True)},
    )


def _open(mix: Mix, rate: float, *, speed: float, seeded: random.Random, faults: tuple[str, ...] = ()) -> OpenRun:
    """As a queue does: the nearer to what the service can do, the longer."""
    load = min(rate / (THROUGHPUT[mix] * speed), 0.98)
    median = 0.006 / speed / (1 - load)
    return OpenRun(
        mix=mix,
        rate=rate,
        seconds=30.0,
        seed=7,
        latency=latencies(median, round(rate * 30), seeded=seeded, spread=0.4),
        throughput=rate * 0.998,
        errors={"503 queue_full": 40} if load > 0.95 else {},
        lag_p50=0.0001,
        lag_p99=0.0008,
        connections=64,
        generator_cores=0.05 + rate / 3000,
        server=_server(median, workers=4, complex_mix=False),
        faults=faults,
    )


def _capacity(objective: float, *, speed: float, seeded: random.Random) -> Capacity:
    highest = (120.0 if objective < 0.1 else 160.0) * speed
    rates = [highest * share for share in (0.5, 1.0, 1.25, 1.1)]
    probes = [_open("random", rate, speed=speed, seeded=seeded) for rate in rates]
    late = _open("random", highest * 2, speed=speed, seeded=seeded, faults=("the generator was 120 ms late (p99)",))
    return Capacity(
        mix="random", p99_at_most=objective, errors_at_most=0.001, rate=highest, probes=[*probes, late], faults=()
    )


def _shape(shape: str, *, seeded: random.Random) -> ShapeRun:
    points = []
    for second in range(60):
        users = (16 if 20 <= second < 35 else 2) if shape == "spike" else 1 + second // 4
        throughput = 210 * users / (users + 0.6) * seeded.uniform(0.95, 1.05)
        # In one second nothing came back.
        p50 = None if second == 21 else users / throughput
        points.append(
            ShapePoint(
                at=float(second),
                users=users,
                throughput=0.0 if p50 is None else throughput,
                errors=3 if second == 21 else 0,
                p50=p50,
                p99=None if p50 is None else p50 * 2.1,
            )
        )
    return ShapeRun(
        shape=shape,
        mix="random",
        points=points,
        latency=latencies(0.03, 9000, seeded=seeded),
        errors={"no answer": 3},
    )


def _moments(seeded: random.Random) -> list[Moment]:
    phases = [f"{mix} × {workers}" for mix in THROUGHPUT for workers in WORKERS]
    phases = [*phases, "spike", "ramp", "open 40/s", "open 80/s", "capacity p99 ≤ 50 ms", "capacity p99 ≤ 100 ms"]
    return [
        Moment(
            at=second * 2.0,
            cpu_cores=None if second == 0 else min(2.0, 1.2 + second % 20 / 20) * seeded.uniform(0.95, 1.05),
            resident_bytes=4.1e8 + (1.5e8 if 100 <= second < 200 else 2e7) + second * 1e5,
            phase=phases[second // 20],
        )
        for second in range(20 * len(phases))
    ]


def _null(seeded: random.Random) -> Null:
    closed = []
    for workers in WORKERS:
        cell = _cell("random", workers, speed=12.0, seeded=seeded, in_parts=False)
        closed.append(replace(cell, server=None, errors={}))
    floor, ceiling = (_open("random", rate, speed=15.0, seeded=seeded) for rate in (50.0, 1600.0))
    return Null(closed=closed, floor=replace(floor, server=None), ceiling=replace(ceiling, server=None))
