"""What a service has counted of its shadow, as figures: agreement with its interval, changes, times, drops; pure.

What lives here: reading of a service's metrics (Prometheus' text) and of `/v1/rollout`. What does not: asking for them,
and how they are shown (`commands.shadow`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from topfive_pipeline.judging.intervals import share_interval

QUANTILES: Final = (0.5, 0.9, 0.99)
_COMPARED: Final = "topfive_shadow_compared_total"
_CHANGE: Final = "topfive_shadow_probability_change"
_OVERLAP: Final = "topfive_shadow_overlap"
_SECONDS: Final = "topfive_shadow_duration_seconds"
_DROPPED: Final = "topfive_shadow_dropped_total"
_FEW: Final = 100


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """One shadow: counts of images, shares, and seconds of requests, since the start of the service's processes.

    `interval`: where the agreement lies at 95 %, None without an image. `changes`: upper bounds, by the histogram's
    buckets, of |p_shadow - p_live| at `QUANTILES`. `dropped`: by reason. `disagreements`: as `/v1/rollout` tells them.
    """

    model: str
    target: str
    agreed: int
    compared: int
    interval: tuple[float, float] | None
    changes: Mapping[str, float]
    overlap: float | None
    live_seconds: float | None
    shadow_seconds: float | None
    dropped: Mapping[str, int]
    disagreements: Sequence[Mapping[str, Any]] = field(default=())

    @property
    def agreement(self) -> float | None:
        """The share of images whose first label is the same; None without an image."""
        return self.agreed / self.compared if self.compared else None

    @property
    def slowdown(self) -> float | None:
        """How many times as long as the live version's a request took in the shadow, on average."""
        return self.shadow_seconds / self.live_seconds if self.shadow_seconds and self.live_seconds else None

    @property
    def sentence(self) -> str:
        """The report in a sentence."""
        lost = sum(self.dropped.values())
        if self.agreement is None or self.interval is None:
            most = max(self.dropped, key=lambda reason: self.dropped[reason], default="")
            why = f"; {lost} were dropped, most as '{most}'" if lost else ""
            return f"No image was compared yet{why}."
        low, high = self.interval
        said = (
            f"'{self.target}' has the same first label as '{self.model}' for {self.agreement:.2%} of {self.compared} "
            f"images (95 %: {low:.2%} to {high:.2%})"
        )
        few = "; these are too few to rely on" if self.compared < _FEW else ""
        whole = lost + self.compared
        missing = f"; {lost / whole:.1%} of the {whole} that were chosen were not compared" if lost else ""
        return f"{said}{few}{missing}."

    def document(self) -> dict[str, Any]:
        """All of it, for programs."""
        derived = {"agreement": self.agreement, "slowdown": self.slowdown, "sentence": self.sentence}
        return {**asdict(self), **derived}


def read_shadows(metrics: str, rollout: Mapping[str, Any] | None = None) -> list[ShadowReport]:
    """A report for each shadow that `metrics`, Prometheus' text of one service, tells of.

    `rollout`: what `/v1/rollout` says, for the disagreements. Raises `ValueError` if `metrics` are none.
    """
    samples: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name.startswith("topfive_shadow_") and "target" in sample.labels:
                samples[sample.labels["model"], sample.labels["target"]].append(sample)
    shadow = (rollout or {}).get("shadow") or {}
    told = {(shadow.get("model", ""), shadow.get("target", "")): shadow.get("disagreements", ())}
    return [_report(key, found, told.get(key, ())) for key, found in sorted(samples.items())]


def _report(
    key: tuple[str, str], samples: Sequence[Sample], disagreements: Sequence[Mapping[str, Any]]
) -> ShadowReport:
    def total(name: str, **labels: str) -> float:
        return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())

    def mean(name: str, **labels: str) -> float | None:
        count = total(f"{name}_count", **labels)
        return total(f"{name}_sum", **labels) / count if count else None

    agreed, compared = round(total(_COMPARED, agrees="yes")), round(total(_COMPARED))
    interval = share_interval(agreed, compared) if compared else None
    reasons = [each for each in samples if each.name == _DROPPED]
    return ShadowReport(
        *key,
        agreed=agreed,
        compared=compared,
        interval=None if interval is None else (interval.low, interval.high),
        changes=_quantiles(samples) if compared else {},
        overlap=mean(_OVERLAP),
        live_seconds=mean(_SECONDS, arm="live"),
        shadow_seconds=mean(_SECONDS, arm="shadow"),
        dropped={each.labels["reason"]: round(each.value) for each in reasons if each.value},
        disagreements=tuple(disagreements),
    )


def _quantiles(samples: Sequence[Sample]) -> dict[str, float]:
    """Quantiles of the change, linear within a bucket, as Prometheus' `histogram_quantile`."""
    found = [each for each in samples if each.name == f"{_CHANGE}_bucket"]
    bounds = [(0.0, 0.0), *sorted((float(each.labels["le"]), each.value) for each in found)]
    whole = bounds[-1][1]
    result = {}
    for quantile in QUANTILES:
        wanted = quantile * whole
        (low, before), (high, upto) = next(pair for pair in pairwise(bounds) if pair[1][1] >= wanted)
        share = (wanted - before) / (upto - before) if upto > before else 0.0
        result[f"p{quantile * 100:g}"] = low if math.isinf(high) else low + share * (high - low)
    return result
