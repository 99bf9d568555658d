"""Measures the costs of a model on this machine: its stages by themselves, and the real server for the rest.

Four things only the server tells: what its event loop takes (it is asked with a backend that computes nothing); how
much longer the stages take in it than by themselves (from the most that it can do, in a closed loop); what a lone
image takes (from a sparse open loop); and how often two that run at once share a core (from a closed loop of two). All
else the simulation predicts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive.machine.cores import usable_cores
from topfive_pipeline.judging import subjects
from topfive_pipeline.judging.machine import this_machine
from topfive_pipeline.judging.subjects import Subject
from topfive_pipeline.planning.costs import Costs, KindCosts
from topfive_pipeline.planning.fitting import PAIR, Seen, fitted
from topfive_pipeline.planning.measuring import Stages
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.served import serve
from topfive_pipeline.under_load.generator import Generator
from topfive_pipeline.under_load.images import Body, bodies_of, request_of
from topfive_pipeline.under_load.load import Capacity
from topfive_pipeline.under_load.server import metrics

ROUNDS: Final = 3
CONNECTIONS: Final = 16
_SPARSE: Final = 0.1
"""Of the most that it can do: at this rate most images meet no other, and only those count."""
_PIXELS: Final = "224x224"

Progress = Callable[[str], None]


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
            seen = _seen(generator, server.url, interleaved(sent, wanted.model), piece, progress)
    progress("fitting the simulation to what was measured")
    return fitted(costs, seen)


def _size(subject: Subject) -> str:
    """The size of pixels to ask the front end with: the only one that the model takes, if it takes no other."""
    height, width = subject.parts[0].config.inputs[0].shape[1:3]
    return _PIXELS if -1 in (height, width) else f"{height}x{width}"


def _rendered(bodies: Sequence[Body], model: str) -> list[bytes]:
    return [request_of(body, model=model) for body in bodies]


def interleaved(sent: Sequence[tuple[str, float, Sequence[Body]]], model: str) -> list[bytes]:
    """Requests to `model` of all kinds by their shares, evenly mixed; at least one of each."""
    whole = sum(share for _, share, _ in sent)
    requests = []
    for _, share, bodies in sent:
        count = max(1, round(_REQUESTS * share / whole))
        requests += [
            ((place + 0.5) / count, request_of(bodies[place % len(bodies)], model=model)) for place in range(count)
        ]
    return [request for _, request in sorted(requests, key=lambda each: each[0])]


_REQUESTS: Final = 64


def _front(generator: Generator, url: str, requests: Sequence[bytes], seconds: float) -> tuple[float, float]:
    """Core seconds that a request takes of the server, and of the generator, if nothing is computed."""
    generator.closed(url, requests, connections=CONNECTIONS, seconds=seconds / 4)
    before, began = _cpu_seconds(url), _answered(url)
    load = generator.closed(url, requests, connections=CONNECTIONS, seconds=seconds)
    check(load)
    return (_cpu_seconds(url) - before) / (_answered(url) - began), load.busy / load.rate


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
    """What the server does at most, and how long lone images take; in rounds, so that the machine's moods mix."""
    rates: list[float] = []
    latencies: list[float] = []
    pairs: list[float] = []
    generator.closed(url, requests, connections=CONNECTIONS, seconds=seconds / 4)
    for number in range(1, ROUNDS + 1):
        progress(f"the server under load: round {number} of {ROUNDS}")
        load = generator.closed(url, requests, connections=CONNECTIONS, seconds=seconds)
        check(load)
        rates.append(load.rate)
        pair = generator.closed(url, requests, connections=PAIR, seconds=seconds)
        pairs.append(fmean(latency for _, latency in pair.answered))
        lone = generator.sparse(url, requests, rate=_SPARSE * load.rate, seconds=seconds, seed=number)
        latencies += lone.latencies
    return Seen(
        capacity=median(rates),
        lone=tuple(sorted(latencies)),
        pair=median(pairs),
        connections=CONNECTIONS,
        machine_cores=usable_cores(),
    )
