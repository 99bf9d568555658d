"""Where an average request spent its time, from two looks at `/metrics` and the gauges between them. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from topfive_loadgen.metrics import Difference, Reading

STAGES: Final = ("decode", "resize", "queue", "inference")
REST: Final = "rest"
"""What is in none of the stages: the head, the body on its way, the event loop, the answer."""
_REQUESTS: Final = "topfive_request_duration_seconds"
_STAGE: Final = "topfive_stage_duration_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """Of the requests that were answered with 200 between two looks.

    `seconds`: of an average request, by stage. `rate` in requests, `images` in images a second. `batch`: images in an
    average batch. `refused`: by status code or reason, how many. Gauges are means of what was seen, None without any.
    """

    model: str
    engine: str
    precision: str
    seconds: Mapping[str, float]
    rate: float
    images: float
    batch: float | None
    refused: Mapping[str, int]
    slots: float | None
    slots_busy: float | None
    queued: float | None
    in_flight: float | None
    cores_limit: float | None

    @property
    def request(self) -> float:
        """Seconds of an average request."""
        return sum(self.seconds.values())

    @property
    def work(self) -> float:
        """Seconds of it in which something was done for it: all but the queue."""
        return self.request - self.seconds["queue"]

    def share(self, stage: str) -> float:
        """Of the work; 0 if there was none."""
        return self.seconds[stage] / self.work if self.work > 0 else 0.0

    @property
    def busy_share(self) -> float | None:
        """Of the slots."""
        return None if self.slots_busy is None or not self.slots else self.slots_busy / self.slots


def busiest_model(change: Difference) -> str:
    """The model that most requests were answered by between two looks; empty if none was."""
    names = change.last.labelled(_REQUESTS + "_count", "model")
    return max(names, key=lambda name: change.grown(f"{_REQUESTS}_count", model=name, code="200"), default="")


def stages_of(change: Difference, gauges: Sequence[Reading], *, model: str) -> Stages | None:
    """The stages of `model`; None if no request was answered. `gauges`: looks between the two."""
    count = change.grown(f"{_REQUESTS}_count", model=model, code="200")
    seconds = change.last.at - change.first.at
    if not count or seconds <= 0:
        return None
    whole = change.mean(_REQUESTS, model=model, code="200") or 0.0
    found = {stage: change.mean(_STAGE, model=model, stage=stage) or 0.0 for stage in STAGES}
    batching = _batching(change, model)
    info = _info(change.last, batching)
    return Stages(
        model=model,
        engine=info.get("engine", ""),
        precision=info.get("precision", ""),
        seconds=found | {REST: max(0.0, whole - sum(found.values()))},
        rate=count / seconds,
        images=change.grown("topfive_images", model=model) / seconds,
        batch=change.mean("topfive_batch_size", model=batching),
        refused=_refused(change),
        slots=_mean(gauges, "topfive_slots", model=batching),
        slots_busy=_mean(gauges, "topfive_slots_busy", model=batching),
        queued=_mean(gauges, "topfive_queue_items", model=batching),
        in_flight=_mean(gauges, "topfive_in_flight"),
        cores_limit=change.last.sum("topfive_cores_limit"),
    )


def _batching(change: Difference, model: str) -> str:
    """What runs in batches for `model`: it, or the step of it that does.

    Of an ensemble the metrics name its classifier by its own name, which begins with the ensemble's by custom; where it
    does not, it is the one that ran most batches.
    """
    names = change.last.labelled("topfive_batch_size_count", "model")
    ran = {name: change.grown("topfive_batch_size_count", model=name) for name in names}
    near = [name for name in names if name.startswith(model) and ran[name]]
    return max(near or names, key=lambda name: ran[name], default=model)


def _info(reading: Reading, model: str) -> Mapping[str, str]:
    """The labels of `topfive_model_info` of `model`."""
    told = [dict(labels) for (name, labels), value in reading.values.items() if name == "topfive_model_info" and value]
    return next((each for each in told if each.get("model") == model), {})


def _refused(change: Difference) -> Mapping[str, int]:
    found = {}
    for code in change.last.labelled(f"{_REQUESTS}_count", "code"):
        if code != "200" and (grown := change.grown(f"{_REQUESTS}_count", code=code)):
            found[code] = round(grown)
    for reason in change.last.labelled("topfive_rejected", "reason"):
        if grown := change.grown("topfive_rejected", reason=reason):
            found[reason] = round(grown)
    return found


def _mean(readings: Sequence[Reading], name: str, **labels: str) -> float | None:
    found = [value for reading in readings if (value := reading.sum(name, **labels)) is not None]
    return statistics.fmean(found) if found else None
