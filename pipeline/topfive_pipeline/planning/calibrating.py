"""Measures the costs of a model on this machine: its stages by themselves, and the real server for the rest.

Four things only the server tells: what its event loop takes (it is asked with a backend that computes nothing); how
long decoding, resizing and a lone batch take in it (by its own clocks, in a sparse open loop); the most that it can do
(in a closed loop); and of two requests at once (in a closed loop of two) how much more work an answer is then, and how
long it takes, since a kernel has threads share a core. All else the simulation predicts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Final, TypeVar

from topfive.ground.errors import ConfigurationError
from topfive.machine.cores import usable_cores
from topfive_pipeline.judging import subjects
from topfive_pipeline.judging.machine import this_machine
from topfive_pipeline.judging.subjects import Subject
from topfive_pipeline.planning.costs import Costs, KindCosts
from topfive_pipeline.planning.fitting import PAIR, Lone, Seen, fitted
from topfive_pipeline.planning.measuring import Stages
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.served import serve
from topfive_pipeline.under_load.generator import Generator
from topfive_pipeline.under_load.images import Body, bodies_of, request_of
from topfive_pipeline.under_load.load import Capacity
from topfive_pipeline.under_load.server import metrics, since

ROUNDS: Final = 3
CONNECTIONS: Final = 16
_SPARSE: Final = 0.1
"""Of the most that it can do: at this rate most images meet no other, and only those count."""
_PIXELS: Final = "224x224"

Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is measured: `model` of `repository`, asked by a `mix` of kinds of images with their shares, on `cores`.

    `seconds`: about how long the measurement takes.
    """

    model: str
    repository: Path
    mix: Sequence[tuple[str, float]]
    cores: int = 0
    seconds: float = 60.0


def calibrate(wanted: Wanted, photos: Sequence[Photo], *, progress: Progress) -> Costs:
    """The costs of what is `wanted`, asked with `photos`; raises `ConfigurationError`."""
    subject = subjects.find([wanted.model], wanted.repository)[0]
    cores = usable_cores(wanted.cores)
    sent = [(kind, share, bodies_of(photos, kind)) for kind, share in wanted.mix]
    piece = wanted.seconds / (4 * ROUNDS + 2)
    flags = ["--no-grpc", "--cores", str(cores)]
    with Generator() as generator:
        progress("starting a server that computes nothing")
        with serve(wanted.repository, [*flags, "--backend", "null"]) as server:
            pixels = _rendered(bodies_of(photos, _size(subject)), wanted.model)
            loop, client = _front(generator, server.url, pixels, piece)
        progress("starting the server")
        began = time.monotonic()
        with serve(wanted.repository, flags) as server:
            start_seconds = time.monotonic() - began
            pays = _pays(server.url, subject)
            costs = _stages(wanted, subject, sent, cores=cores, pays=pays, seconds=ROUNDS * piece, progress=progress)
            costs = replace(costs, loop_seconds=loop, client_seconds=client, start_seconds=start_seconds)
            seen = _seen(generator, server.url, requests_of(sent, wanted.model), piece, progress)
    progress("fitting the simulation to what was measured")
    return fitted(costs, seen)


def _size(subject: Subject) -> str:
    """The size of pixels to ask the front end with: the only one that the model takes, if it takes no other."""
    height, width = subject.parts[0].config.inputs[0].shape[1:3]
    return _PIXELS if -1 in (height, width) else f"{height}x{width}"


def _rendered(bodies: Sequence[Body], model: str) -> list[bytes]:
    return [request_of(body, model=model) for body in bodies]


def requests_of(sent: Sequence[tuple[str, float, Sequence[Body]]], model: str) -> list[bytes]:
    """Requests to `model` for what is `sent`, `interleaved`."""
    return interleaved([(share, _rendered(bodies, model)) for _, share, bodies in sent])


def interleaved(kinds: Sequence[tuple[float, Sequence[T]]]) -> list[T]:
    """The members of all kinds by the kinds' shares, evenly mixed; at least one of each kind."""
    whole = sum(share for share, _ in kinds)
    found: list[tuple[float, T]] = []
    for share, members in kinds:
        count = max(1, round(_REQUESTS * share / whole))
        found += [((place + 0.5) / count, members[place % len(members)]) for place in range(count)]
    return [member for _, member in sorted(found, key=lambda each: each[0])]


_REQUESTS: Final = 64


def _front(generator: Generator, url: str, requests: Sequence[bytes], seconds: float) -> tuple[float, float]:
    """Core seconds that a request takes of the server, and of the generator, if nothing is computed."""
    generator.closed(url, requests, connections=CONNECTIONS, seconds=seconds / 4)
    load, took = _effort(generator, url, requests, connections=CONNECTIONS, seconds=seconds)
    check(load)
    return took, load.busy / load.rate


def check(load: Capacity) -> None:
    """Raise `ConfigurationError` if there was no right answer."""
    if load.rate <= 0:
        why = ", ".join(f"{count} times {reason}" for reason, count in load.failures.items())
        raise ConfigurationError(f"the server answers none of the images ({why}); does the model take what --mix says?")


def _cpu_seconds(url: str) -> float:
    return _told(url, "process_cpu_seconds_total")


def _answered(url: str) -> float:
    return _told(url, "topfive_images_total")


def _told(url: str, name: str) -> float:
    told = metrics(url).sum(name)
    if told is None:
        raise ConfigurationError(f"the server's metrics have no {name}")
    return told


def _pays(url: str, subject: Subject) -> int:
    name = subject.classify.config.name
    found = [dict(labels) for metric, labels in metrics(url).values if metric == "topfive_model_info"]
    return next(int(labels["limit"]) for labels in found if labels["model"] == name)


def _stages(
    wanted: Wanted,
    subject: Subject,
    sent: Sequence[tuple[str, float, Sequence[Body]]],
    *,
    cores: int,
    pays: int,
    seconds: float,
    progress: Progress,
) -> Costs:
    stages = Stages(subject, cores=cores, machine_cores=usable_cores())
    kinds: list[KindCosts] = []
    for kind, share, bodies in sent:
        for number, body in enumerate(bodies, start=1):
            progress(f"decoding and resizing by themselves: {kind}, {number} of {len(bodies)}")
            kinds.append(stages.kind(f"{kind} {number}", body, share=share / len(bodies)))
    sizes = [size for size in (1, 2, 4, 8, 16, 32, 64, 128) if size < pays] + [pays]
    batches = stages.batches(sizes, seconds=seconds, progress=progress)
    stages.close()
    usual = {size: median(runs) for size, runs in batches.alone.items()}
    config, plan = subject.classify.config, stages.plan
    return Costs(
        model=wanted.model,
        engine=subject.engine,
        cpu=this_machine(cores=cores).cpu,
        cores=cores,
        slots=plan.slots,
        threads=plan.threads,
        kinds=tuple(kinds),
        batch_seconds=usual,
        batch_size_that_pays=pays,
        graph_batch_size=config.graph_batch_size,
        spread=tuple(run / usual[1] for run in batches.alone[1]),
        spread_beside=tuple(run / usual[1] for run in batches.beside),
        alone=(usual[1],) if plan.alone else (),
        max_queue_items=config.max_queue_items or _QUEUE,
        max_queue_delay_seconds=config.max_queue_delay_seconds,
    )


_QUEUE: Final = 256


def _seen(generator: Generator, url: str, requests: Sequence[bytes], seconds: float, progress: Progress) -> Seen:
    """What the server does at most, for two at once, and for one; in rounds, so that the machine's moods mix."""
    rates: list[float] = []
    latencies: list[float] = []
    pairs: list[float] = []
    efforts: list[float] = []
    stages: dict[str, list[float]] = {stage: [] for stage in _STAGES}
    generator.closed(url, requests, connections=CONNECTIONS, seconds=seconds / 4)
    for number in range(1, ROUNDS + 1):
        progress(f"the server under load: round {number} of {ROUNDS}")
        load, took = _effort(generator, url, requests, connections=CONNECTIONS, seconds=seconds)
        check(load)
        rates.append(load.rate)
        pair, took_of_two = _effort(generator, url, requests, connections=PAIR, seconds=seconds)
        check(pair)
        pairs.append(fmean(latency for _, latency in pair.answered))
        efforts.append(took_of_two / took)
        before = metrics(url)
        lone = generator.sparse(url, requests, rate=_SPARSE * load.rate, seconds=seconds, seed=number)
        told = since(before, url)
        for stage, means in stages.items():
            means.append(told.mean("topfive_stage_duration_seconds", stage=stage) or 0.0)
        latencies += lone.latencies
    return Seen(
        capacity=median(rates),
        pair=median(pairs),
        effort=median(efforts),
        lone=Lone(latencies=tuple(sorted(latencies)), **{stage: median(means) for stage, means in stages.items()}),
        connections=CONNECTIONS,
        machine_cores=usable_cores(),
    )


_STAGES: Final = ("decode", "resize", "inference")


def _effort(
    generator: Generator, url: str, requests: Sequence[bytes], *, connections: int, seconds: float
) -> tuple[Capacity, float]:
    """A closed loop, and the core seconds that an answer took of the server in it."""
    before, began = _cpu_seconds(url), _answered(url)
    load = generator.closed(url, requests, connections=connections, seconds=seconds)
    return load, (_cpu_seconds(url) - before) / max(1.0, _answered(url) - began)
