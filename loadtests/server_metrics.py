"""What a server says of itself in `/metrics`: CPU, memory, batch sizes, time in each stage, between two readings.

What lives here: topfive's metrics and Triton's, both Prometheus text, made into the same few figures. What does not:
when it is asked (`sampling`). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loadtests.results import Server

_SAMPLE: Final = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_CPU: Final = "process_cpu_seconds_total"
_MEMORY: Final = "process_resident_memory_bytes"
_STAGE: Final = "topfive_stage_duration_seconds"
_BATCH: Final = "topfive_batch_size"
_MICROSECONDS: Final = 1e6

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read at a time (monotonic): by name and labels."""

    at: float
    values: Mapping[tuple[str, Labels], float]

    @property
    def cpu_seconds(self) -> float | None:
        """CPU time so far, if it is told."""
        return self._one(_CPU)

    @property
    def resident_bytes(self) -> float | None:
        """Memory now, if it is told."""
        return self._one(_MEMORY)

    def with_process(self, *, cpu_seconds: float, resident_bytes: float) -> Reading:
        """The same, and what somebody else knows of the process."""
        return Reading(self.at, {**self.values, (_CPU, ()): cpu_seconds, (_MEMORY, ()): resident_bytes})

    def _one(self, name: str) -> float | None:
        return self.values.get((name, ()))


def parse(text: str, *, at: float) -> Reading:
    """Prometheus text; lines of other metrics are kept too, those that are no samples left out."""
    values = {}
    for name, labels, value in _SAMPLE.findall(text):
        values[name, tuple(sorted(_LABEL.findall(labels)))] = float(value)
    return Reading(at, values)


def between(readings: Sequence[Reading], *, start: float, end: float) -> Server | None:
    """What the server did from `start` to `end`, by the readings nearest to them; None if there are not two."""
    if len(readings) < 2:
        return None
    first = min(readings, key=lambda one: abs(one.at - start))
    last = min(readings, key=lambda one: abs(one.at - end))
    if last.at <= first.at:
        return None
    memory = [one.resident_bytes for one in readings if first.at <= one.at <= last.at]
    counted = _Difference(first, last)
    return Server(
        cpu_cores=counted.cpu_cores(),
        resident_bytes=max((one for one in memory if one is not None), default=None),
        mean_batch=counted.ratio(f"{_BATCH}_sum", f"{_BATCH}_count") or counted.triton_batch(),
        stages=counted.stages() or counted.triton_stages(),
    )


@dataclass(frozen=True, slots=True)
class _Difference:
    first: Reading
    last: Reading

    def cpu_cores(self) -> float | None:
        before, after = self.first.cpu_seconds, self.last.cpu_seconds
        return (after - before) / (self.last.at - self.first.at) if before is not None and after is not None else None

    def grown(self, name: str, wanted: Callable[[Mapping[str, str]], bool] = lambda _: True) -> float:
        """By how much the counters of that name grew in all."""
        return sum(
            value - self.first.values.get(key, 0.0)
            for key, value in self.last.values.items()
            if key[0] == name and wanted(dict(key[1]))
        )

    def ratio(self, of: str, to: str, wanted: Callable[[Mapping[str, str]], bool] = lambda _: True) -> float | None:
        many = self.grown(to, wanted)
        return self.grown(of, wanted) / many if many else None

    def stages(self) -> dict[str, float]:
        """Mean of the requests in each stage."""
        names = dict.fromkeys(dict(labels)["stage"] for name, labels in self.last.values if name == f"{_STAGE}_count")
        found = {}
        for stage in names:
            mean = self.ratio(f"{_STAGE}_sum", f"{_STAGE}_count", lambda labels, stage=stage: labels["stage"] == stage)  # type: ignore[misc]
            if mean is not None:
                found[stage] = mean
        return found

    def triton_models(self) -> Iterator[tuple[str, Callable[[Mapping[str, str]], bool]]]:
        """The models that run something: an ensemble is counted too, but executes nothing."""
        for model in dict.fromkeys(dict(labels).get("model", "") for _, labels in self.last.values):

            def is_it(labels: Mapping[str, str], model: str = model) -> bool:
                return labels.get("model") == model

            if self.grown("nv_inference_exec_count", is_it) and self.grown(
                "nv_inference_compute_infer_duration_us", is_it
            ):
                yield model, is_it

    def triton_batch(self) -> float | None:
        """Of the model whose batches are largest: that is the one that batches."""
        means = (
            self.ratio("nv_inference_count", "nv_inference_exec_count", is_it) for _, is_it in self.triton_models()
        )
        return max((mean for mean in means if mean is not None), default=None)

    def triton_stages(self) -> dict[str, float]:
        """Queue and inference of a request, added up over the models that it passes."""
        found: dict[str, float] = {}
        for _, is_it in self.triton_models():
            for stage, name in (("queue", "queue"), ("inference", "compute_infer")):
                mean = self.ratio(f"nv_inference_{name}_duration_us", "nv_inference_request_success", is_it)
                if mean is not None:
                    found[stage] = found.get(stage, 0.0) + mean / _MICROSECONDS
        return found
