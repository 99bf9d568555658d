"""How fast models are beside each other: in rounds, in each of which every model runs.

What a machine does beside it, and how hot it is, changes within seconds, by more than two models differ. So a ratio is
made within each round, and the median and the quartiles of all rounds are shown, never one time alone. Large batches
take seconds, so they are run in fewer rounds (`CASE_SECONDS`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from topfive.backends.graph import LoadedGraph
from topfive.backends.sizing import sample_shape
from topfive_pipeline.judging.sessions import opened, planned
from topfive_pipeline.judging.subjects import Subject

ROUNDS: Final = 11
SLICE_SECONDS: Final = 0.15
"""How long a model runs in a round, at least; a run is never cut short."""
CASE_SECONDS: Final = 40.0
"""What a batch size may take in all; if its rounds would take longer there are fewer, at least `FEWEST_ROUNDS`."""
FEWEST_ROUNDS: Final = 3
ALONE: Final = "alone"

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Spread:
    """Of the figures of all rounds: the median, and between which two the middle half lies."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one model is in one case.

    `batch`: images in a batch. `seconds` for an image: alone, how long it takes; in batches on all slots, the time
    between two images that are done. `ratio`: how many times as fast as the first model in the same round. `rounds`:
    `seconds` of each.
    """

    case: str
    batch: int
    seconds: Spread
    ratio: Spread
    rounds: tuple[float, ...]


def paces_of(
    subjects: Sequence[Subject],
    images: Sequence[NDArray[np.uint8]],
    *,
    batches: Sequence[int],
    cores: int,
    rounds: int,
    progress: Progress,
) -> list[list[Pace]]:
    """The paces of each of `subjects`, first that of an image alone, then those of `batches` on all slots at once.

    `images` UINT8 [h, w, 3] pass the resize graph too when they come alone; batches are of crops. `rounds`: at most,
    and at least 1; a pace has as many as there were.
    """
    runners = [_Runner(subject, images, cores=cores) for subject in subjects]
    cases = [(ALONE, 1), *((f"batch {size}", size) for size in batches)]
    paces: list[list[Pace]] = [[] for _ in subjects]
    for case, batch in cases:
        runs = [runner.prepare(batch, alone=case == ALONE) for runner in runners]
        took = [_seconds(run) for run in runs]
        repeats = [max(1, round(SLICE_SECONDS / seconds)) for seconds in took]
        some = _rounds(rounds, sum(seconds * times for seconds, times in zip(took, repeats, strict=True)))
        measured = np.empty((len(subjects), some))
        for number in range(some):
            progress(f"speed, {case}: round {number + 1} of {some}")
            for place in np.roll(np.arange(len(subjects)), number).tolist():  # nobody is always the one after another
                measured[place, number] = runs[place](repeats[place])
        ratios = measured[0] / measured
        for own, seconds, ratio in zip(paces, measured, ratios, strict=True):
            own.append(Pace(case, batch, _spread(seconds), _spread(ratio), tuple(seconds.tolist())))
    for runner in runners:
        runner.close()
    return paces


Run = Callable[[int], float]
"""Runs so many times, and returns the seconds for an image."""


def _seconds(run: Run) -> float:
    """What one `run` takes; what is run first is slower, and does not count."""
    run(1)
    started = time.perf_counter()
    run(1)
    return time.perf_counter() - started


def _rounds(most: int, seconds: float) -> int:
    """How many of `most` rounds, each of which takes `seconds`, are run."""
    return min(most, max(FEWEST_ROUNDS, int(CASE_SECONDS / seconds)))


def _spread(values: NDArray[np.float64]) -> Spread:
    low, median, high = np.quantile(values, (0.25, 0.5, 0.75))
    return Spread(float(median), float(low), float(high))


class _Runner:
    """The sessions of one model, as the server has them."""

    def __init__(self, subject: Subject, images: Sequence[NDArray[np.uint8]], *, cores: int) -> None:
        plan = planned(subject.classify.config, cores=cores)
        self._images = images
        self._shape = sample_shape(subject.classify.config)
        self._resize = None if subject.resize is None else opened(subject.resize, threads=1)
        sessions = [opened(subject.classify, threads=plan.threads, streams=plan.streams) for _ in range(plan.sessions)]
        self._slots = [sessions[slot % plan.sessions] for slot in range(plan.slots)]
        self._alone = opened(subject.classify, threads=plan.alone) if plan.alone else sessions[0]
        self._pool = ThreadPoolExecutor(plan.slots)

    def prepare(self, batch: int, *, alone: bool) -> Run:
        """What is timed: an image after another, or a batch of `batch` crops on each slot."""
        if alone:
            return self._run_alone
        crops = np.random.default_rng(0).integers(0, 256, (batch, *self._shape), np.uint8)
        return lambda repeats: self._run_together(crops, repeats)

    def _run_alone(self, repeats: int) -> float:
        started = time.perf_counter()
        for _ in range(repeats):
            for image in self._images:
                tensor: NDArray[Any] = image[np.newaxis]
                if self._resize is not None:
                    (tensor,) = self._resize.run(tensor)
                self._alone.run(tensor)
        return (time.perf_counter() - started) / (repeats * len(self._images))

    def _run_together(self, crops: NDArray[np.uint8], repeats: int) -> float:
        started = time.perf_counter()
        for done in [self._pool.submit(_run, graph, crops, repeats) for graph in self._slots]:
            done.result()
        return (time.perf_counter() - started) / (repeats * len(crops) * len(self._slots))

    def close(self) -> None:
        self._pool.shutdown()
        for graph in {*self._slots, self._alone}:
            graph.close()


def _run(graph: LoadedGraph, crops: NDArray[np.uint8], repeats: int) -> None:
    for _ in range(repeats):
        graph.run(crops)
