"""Computes a server's CPU, memory, batch size and time in each stage between two readings of its metrics. Pure.

topfive's metrics and Triton's give the same figures. `topfive_loadgen.metrics` parses the readings;
`sampling` takes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from loadtests.results import Server
from topfive_loadgen.metrics import Difference, Reading

_CPU: Final = "process_cpu_seconds_total"
_MEMORY: Final = "process_resident_memory_bytes"
_BEGAN: Final = "process_start_time_seconds"
_STAGE: Final = "topfive_stage_duration_seconds"
_BATCH: Final = "topfive_batch_size"
_INFER: Final = "nv_inference_compute_infer_duration_us"
_MICROSECONDS: Final = 1e6
NEAR_SECONDS: Final = 2.0
"""The most that a reading may be off the time that it stands for. Readings are 0.5 s apart if none is missed."""


def with_process(reading: Reading, *, cpu_seconds: float, resident_bytes: float) -> Reading:
    """The reading, with CPU time and memory of the process added from another source."""
    return Reading(reading.at, {**reading.values, (_CPU, ()): cpu_seconds, (_MEMORY, ()): resident_bytes})


def memory(reading: Reading) -> float | None:
    """The resident bytes; None if not reported."""
    return reading.sum(_MEMORY)


def began(reading: Reading) -> float | None:
    """When the server's process began, by its own clock; None if not reported."""
    return reading.sum(_BEGAN)


def between(readings: Sequence[Reading], *, start: float, end: float) -> Server | None:
    """What the server did from `start` to `end`, by the readings nearest to them.

    None if there are not two within `NEAR_SECONDS` of these times: figures of another time would be of another load.
    """
    if len(readings) < 2:
        return None
    first = min(readings, key=lambda one: abs(one.at - start))
    last = min(readings, key=lambda one: abs(one.at - end))
    if last.at <= first.at or max(abs(first.at - start), abs(last.at - end)) > NEAR_SECONDS:
        return None
    told = [memory(one) for one in readings if first.at <= one.at <= last.at]
    counted = Difference(first, last)
    models = list(_triton_models(counted))
    return Server(
        cpu_cores=counted.grown(_CPU) / (last.at - first.at) if first.sum(_CPU) is not None else None,
        resident_bytes=max((one for one in told if one is not None), default=None),
        mean_batch=counted.mean(_BATCH) or _triton_batch(counted, models),
        stages=_stages(counted) or _triton_stages(counted, models),
    )


def _stages(counted: Difference) -> dict[str, float]:
    """The mean time of a request in each stage."""
    stages = counted.last.labelled(f"{_STAGE}_count", "stage")
    means = ((stage, counted.mean(_STAGE, stage=stage)) for stage in stages)
    return {stage: mean for stage, mean in means if mean is not None}


def _triton_models(counted: Difference) -> Iterator[str]:
    """The models that execute something; an ensemble is counted too, but executes nothing."""
    for model in counted.last.labelled("nv_inference_request_success", "model"):
        if counted.grown("nv_inference_exec_count", model=model) and counted.grown(_INFER, model=model):
            yield model


def _triton_batch(counted: Difference, models: Sequence[str]) -> float | None:
    """The mean batch size of the model with the largest batches, which is the model that batches."""
    means = (counted.ratio("nv_inference_count", "nv_inference_exec_count", model=model) for model in models)
    return max((mean for mean in means if mean is not None), default=None)


def _triton_stages(counted: Difference, models: Sequence[str]) -> dict[str, float]:
    """The time of a request in queue and inference, summed over the models that it passes."""
    found: dict[str, float] = {}
    for model in models:
        for stage, name in (("queue", "nv_inference_queue_duration_us"), ("inference", _INFER)):
            mean = counted.ratio(name, "nv_inference_request_success", model=model)
            if mean is not None:
                found[stage] = found.get(stage, 0.0) + mean / _MICROSECONDS
    return found
