"""Profiles a service: starts it or finds it, puts it under load, watches, samples, and runs its graphs by themselves.

What lives here: the order of these steps. What does not: the steps (the modules beside this one), flags and screens.

The figures come from a window in which nothing but the load and looks at gauges disturbs the service. py-spy, which
stops threads for moments, has a window of its own after it, under the same load; and the graphs run by themselves when
the load is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np

from topfive.ground.errors import ConfigurationError
from topfive.machine.cores import usable_cores
from topfive_loadgen.aside import Aside
from topfive_loadgen.sockets import PORTS
from topfive_pipeline.judging.machine import this_machine
from topfive_pipeline.judging.sessions import planned
from topfive_pipeline.judging.subjects import Part, Subject, find
from topfive_pipeline.judging.ways import numbers_of
from topfive_pipeline.profiling import operators, processes, readings, stacks, stages, usage, verdict, window
from topfive_pipeline.profiling.driving import driven
from topfive_pipeline.profiling.evidence import Driven, Evidence, GraphTime
from topfive_pipeline.profiling.profile import Profile
from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.proof.served import serve
from topfive_pipeline.under_load.images import requests_of

_WARM: Final = 1.0
"""Seconds of load before anything is looked at."""
_SETTLE: Final = 0.3
_STACK_SHARE: Final = 0.5
_STACKS_AT_MOST: Final = 10.0
"""Of the window's seconds, and at most so many, for py-spy's own."""
_GRAPH_SECONDS: Final = 2.0
_TOP: Final = 12
"""Functions that are told."""
_DENIED: Final = "401"
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user said. `url`: a service that runs, else one is started. `pid`: of it, else it is looked for.

    `api_key`: what a service that runs asks for; "" for none.
    `repository`: None where the graphs are not here. `image`: how images are sent (`under_load.images`). `loaded`:
    whether to put it under load. `flags` of the service that is started.
    """

    model: str
    repository: Path | None
    url: str | None = None
    pid: int | None = None
    image: str
    connections: int = 8
    seconds: float = 20.0
    loaded: bool = True
    flags: tuple[str, ...] = ()
    api_key: str = field(default="", repr=False)


def profile(wanted: Wanted, photos: Sequence[Photo], *, progress: Progress) -> Profile:
    """Profile what is `wanted`, sending `photos`. Raises `ConfigurationError` if it cannot be, or ends meanwhile."""
    progress("reading the model")
    subject = _subject(wanted)
    requests = _requests(wanted, photos)
    with ExitStack() as stack:
        url = _url(wanted, stack, progress)
        window.metrics_of(url)  # raises if nobody is there, or nobody who can be trusted, before load is made
        parts = urlsplit(url)
        pid = wanted.pid or processes.listening_on(parts.hostname, parts.port or PORTS[parts.scheme])
        aside = stack.enter_context(Aside())
        load = _Load(aside, url, requests, connections=wanted.connections)
        load.warm(progress)
        progress(f"watching for {wanted.seconds:g} s")
        with load(wanted.seconds):
            measuring = processes.own()
            seen = window.watch(url, pid, seconds=wanted.seconds)
        load_seen = load.seen
        progress("sampling what Python does")
        sampled = _sampled(seen, load, seconds=min(_STACKS_AT_MOST, _STACK_SHARE * wanted.seconds))
        names = stacks.thread_names(seen.last.processes)
        name = wanted.model or stages.busiest_model(seen.change)
        told = stages.stages_of(seen.change, seen.gauges, model=name)
    graphs = _graphs(subject, wanted, told, _shape(photos, wanted.image), progress) if subject is not None else []
    evidence = Evidence(
        stages=told,
        usage=usage.between(seen.first, seen.last, names=names, measuring=measuring),
        load=load_seen,
        gpu=seen.gpu,
        own_cpu=seen.own_cpu,
        graphs=graphs,
        model=name,
    )
    return Profile(
        name=name or "?",
        when=datetime.now(UTC),
        machine=this_machine(),
        seconds=wanted.seconds,
        load=_told(wanted, len(requests)),
        evidence=evidence,
        findings=verdict.verdict(evidence),
        functions=tuple(stacks.functions(stacks.of_loop(sampled.counts))[:_TOP]),
        stacks=sampled.counts,
        stack_seconds=sampled.seconds,
        unknown=tuple(_unknown(wanted, pid, evidence, sampled)),
    )


def _requests(wanted: Wanted, photos: Sequence[Photo]) -> list[bytes]:
    if not wanted.loaded:
        return []
    return requests_of(photos, wanted.image, model=wanted.model, api_key=wanted.api_key)


class _Load:
    """The load, in a process of its own; nothing where others make it. `seen`: of its last window."""

    def __init__(self, aside: Aside, url: str, requests: Sequence[bytes], *, connections: int) -> None:
        self._aside = aside
        self._asked = {"url": url, "requests": requests, "connections": connections}
        self.seen: Driven | None = None

    def warm(self, progress: Progress) -> None:
        """Until the service and the generator run as they will; raises `ConfigurationError` if it wants a key."""
        if self._asked["requests"]:
            progress("warming up")
            self._aside.start(driven, **self._asked, warm_seconds=0.0, seconds=_WARM)
            if _DENIED in self._result().failed:
                raise ConfigurationError("the service asks for an API key, or has another one: set PROFILE_API_KEY")

    @contextmanager
    def __call__(self, seconds: float) -> Iterator[None]:
        """Meanwhile there is load, at least for `seconds`."""
        if not self._asked["requests"]:
            yield
            return
        self._aside.start(driven, **self._asked, warm_seconds=_SETTLE, seconds=seconds)
        time.sleep(_SETTLE)
        yield
        self.seen = self._result()

    def _result(self) -> Driven:
        try:
            found: Driven = self._aside.result()
        except (OSError, EOFError, TimeoutError) as error:
            raise ConfigurationError(
                f"the service let a connection go under load, or does not answer any more ({error}); look at its log"
            ) from error
        return found


def _subject(wanted: Wanted) -> Subject | None:
    if wanted.repository is None:
        return None
    (subject,) = find([wanted.model], wanted.repository)
    return subject


def _url(wanted: Wanted, stack: ExitStack, progress: Progress) -> str:
    """Of the service that runs, or of one that ends with the `stack`."""
    if wanted.url is None:
        assert wanted.repository is not None
        progress("starting the service")
        return stack.enter_context(serve(wanted.repository, ["--no-grpc", *wanted.flags])).url
    parts = urlsplit(wanted.url)
    try:
        known = parts.scheme in PORTS and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        known = None
    if not known:
        raise ConfigurationError(
            f"--url {wanted.url}: say http://HOST:PORT or https://HOST:PORT, as http://127.0.0.1:8000"
        )
    return f"{parts.scheme}://{parts.netloc}"


def _sampled(seen: window.Watched, load: _Load, *, seconds: float) -> stacks.Stacks:
    """What the process that used most CPU does: of several workers one is like the other."""
    pid = busiest(seen.first, seen.last)
    if pid is None:
        return stacks.Stacks({}, seconds, "the service's process is not known here, so Python cannot be sampled")
    with load(seconds):
        return stacks.record(pid, seconds=seconds)


def busiest(first: readings.Reading, last: readings.Reading) -> int | None:
    """The process that used most CPU between two looks; None if none was seen."""

    def spent(pid: int) -> float:
        before = first.processes.get(pid)
        return last.processes[pid].cpu - (before.cpu if before else 0.0)

    return max(last.processes, key=spent, default=None)


def _graphs(
    subject: Subject, wanted: Wanted, told: stages.Stages | None, shape: tuple[int, int, int], progress: Progress
) -> list[GraphTime]:
    """The graphs by themselves, as the service opens them, for images of `shape` and batches as they were."""
    cores = max(1, round(told.cores_limit)) if told is not None and told.cores_limit else usable_cores()
    batch = max(1, round(told.batch)) if told is not None and told.batch else 1
    layout = planned(subject.classify.config, cores=cores)
    alone = layout.alone if wanted.loaded and wanted.connections == 1 else 0
    asked = [_asked("inference", subject.classify, threads=alone or layout.threads, batch=batch, shape=shape)]
    if subject.resize is not None:
        asked.append(_asked("resize", subject.resize, threads=alone or 1, batch=1, shape=shape))
    found = []
    with Aside() as aside:
        for each in asked:
            progress(f"running the graph of {each.title} by itself")
            found.append(aside.run(operators.timed, asked=each))
    return found


def _asked(title: str, part: Part, *, threads: int, batch: int, shape: tuple[int, int, int]) -> operators.Asked:
    sides = part.config.inputs[0].shape
    own = tuple(size if size > 0 else given for size, given in zip(sides[-3:], shape, strict=True))
    return operators.Asked(
        title=title,
        path=part.path,
        engine=part.config.engine,
        precision=part.config.precision,
        numbers=numbers_of(part.path, part.config),
        threads=threads,
        shape=(min(batch, max(1, part.config.max_batch_size)), *own),
        seconds=_GRAPH_SECONDS,
    )


def _shape(photos: Sequence[Photo], kind: str) -> tuple[int, int, int]:
    """Height, width and channels of an image in the middle of what is sent."""
    height, _, width = kind.partition("x")
    if height.isdigit() and width.isdigit():
        return int(height), int(width), 3
    sizes = sorted((np.asarray(photo.image()).shape for photo in photos), key=lambda each: each[0] * each[1])
    middle: Any = sizes[len(sizes) // 2]
    return int(middle[0]), int(middle[1]), 3


def _told(wanted: Wanted, images: int) -> str:
    if not wanted.loaded:
        return ""
    return f"{images} images sent as {wanted.image} over {wanted.connections} connections, each waiting for its answer"


def _unknown(wanted: Wanted, pid: int | None, evidence: Evidence, sampled: stacks.Stacks) -> Iterator[str]:
    """What could not be seen, and why."""
    if pid is None:
        yield (
            "the service's process was not found on this machine: its threads, memory and disks are unknown; run this "
            "where it runs, as its user or as root, and name it with --pid if it is behind a proxy"
        )
    elif evidence.usage.cores is None:
        yield "this system does not tell of processes as Linux does (/proc): threads, memory and disks are unknown"
    if sampled.why:
        yield sampled.why
    if wanted.repository is None:
        yield "without --repository the graphs cannot be run by themselves: operators and nodes are unknown"
    if evidence.gpu is None:
        yield "no GPU: there is no nvidia-smi here, or it finds none"
    if evidence.usage.throttled is None:
        yield "no CPU quota is known: its control group has none, or does not show it (cpu.stat)"
