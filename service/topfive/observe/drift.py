"""The metrics of drift: what the images and answers of each model are like, and what its baseline says they are.

What lives here: counting, and the gauges of baselines. What does not: buckets (`ground.drift`), and how far the two are
apart: Prometheus computes that (deploy/prometheus/rules/drift.yml).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from topfive.ground.drift import (
    CONFIDENCE_BOUNDS,
    FORMAT_NAMES,
    LABELS,
    MEGAPIXEL_BOUNDS,
    NONE,
    OTHER,
    Baseline,
    LabelBuckets,
    Sent,
    bounds_of,
)

_MEGA: Final = 1_000_000
_NO_MORE: Final = -1.0
"""The share of a bucket that is in no baseline any more; files of several processes keep its series."""
_REMEMBERED: Final = 4096
"""Of so many labels a model remembers what they count as."""


class DriftMetrics:
    """The metrics of all models in `registry`; `keeps_series`: whether a series that was made cannot be removed."""

    def __init__(self, registry: CollectorRegistry, *, keeps_series: bool) -> None:
        self._keeps_series = keeps_series
        self.confidence = Histogram(
            "topfive_confidence",
            "Probability of the first label of each image answered.",
            ("model",),
            buckets=CONFIDENCE_BOUNDS,
            registry=registry,
        )
        self.labels = Counter(
            "topfive_labels",
            "Images answered, by their first label: those of the baseline, groups of classes, (other) and (none).",
            ("model", "label"),
            registry=registry,
        )
        self.image_megapixels = Histogram(
            "topfive_image_megapixels",
            "Size of each image answered, as it was sent.",
            ("model",),
            buckets=MEGAPIXEL_BOUNDS,
            registry=registry,
        )
        self.image_formats = Counter(
            "topfive_image_formats",
            "Images answered, by the format of their files.",
            ("model", "format"),
            registry=registry,
        )
        self.baseline_share = Gauge(
            "topfive_baseline_share",
            "Share of the baseline's images in each bucket; `below` is the bucket before it, of a signal that is a "
            "number; -1 if the baseline has the bucket no more.",
            ("model", "signal", "bucket", "below"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.baseline_images = Gauge(
            "topfive_baseline_images",
            "Images of the baseline, by signal; 0 if there is no baseline any more.",
            ("model", "signal"),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._models: dict[str, ModelDrift] = {}

    def model(self, name: str) -> ModelDrift:
        """The counters of the model `name`, the same for all its versions."""
        if name not in self._models:
            self._models[name] = ModelDrift(self, name)
        return self._models[name]

    def use(self, baselines: Mapping[str, Baseline | None]) -> list[str]:
        """From now on the models have these `baselines`, and others have none; return the names that have a new one."""
        for name in [*self._models]:
            if name not in baselines:
                self._models[name].use(None)
        return [name for name, baseline in baselines.items() if self.model(name).use(baseline)]

    def forget(self, gauge: Gauge, *labels: str, value: float) -> None:
        """Remove a series of `gauge`; where that cannot be, give it the `value` that says so."""
        if self._keeps_series:
            gauge.labels(*labels).set(value)
        else:
            gauge.remove(*labels)


class ModelDrift:
    """The counters of one model; each label's series is looked up once."""

    def __init__(self, metrics: DriftMetrics, name: str) -> None:
        self._metrics = metrics
        self._name = name
        self._baseline: Baseline | None = None
        self._buckets = LabelBuckets(None)
        self._labels: dict[str, Counter] = {}
        self._series_of: dict[tuple[str, int], Counter] = {}
        self._formats: dict[str, Counter] = {}
        self._series: tuple[Histogram, Histogram] | None = None

    def count(self, label: str, index: int, confidence: float, sent: Sent) -> None:
        """Count one answered image: its first label (empty if there is none), that label's class and probability."""
        confidences, megapixels = self._series or self._histograms()
        confidences.observe(confidence)
        megapixels.observe(sent.pixels / _MEGA)
        series = self._series_of.get((label, index))
        if series is None:
            series = self._label(self._buckets.of(label, index))
            if len(self._series_of) < _REMEMBERED:
                self._series_of[label, index] = series
        series.inc()
        self._format(sent.form).inc()

    def use(self, baseline: Baseline | None) -> bool:
        """Count by the buckets of `baseline` and publish it; whether it is one, and another than before."""
        if baseline == self._baseline:
            return False
        before, self._baseline = self._baseline, baseline
        shares, images = self._metrics.baseline_share, self._metrics.baseline_images
        new = {} if baseline is None else _shares(baseline)
        for signal, bucket, below in ({} if before is None else _shares(before)).keys() - new.keys():
            self._metrics.forget(shares, self._name, signal, bucket, below, value=_NO_MORE)
        for labels, share in new.items():
            shares.labels(self._name, *labels).set(share)
        for signal in () if before is None or baseline is not None else before.counts:
            self._metrics.forget(images, self._name, signal, value=0.0)
        self._buckets = LabelBuckets(None if baseline is None else baseline.counts[LABELS])
        self._series_of = {}
        if baseline is None:
            return False
        for signal in baseline.counts:
            images.labels(self._name, signal).set(baseline.images(signal))
        for bucket in (*baseline.counts[LABELS], OTHER, NONE):  # from 0, or Prometheus would miss the first of each
            self._label(bucket)
        for form in FORMAT_NAMES:
            self._format(form)
        self._histograms()
        return True

    def _histograms(self) -> tuple[Histogram, Histogram]:
        """Made when they are needed: a step that no client calls has none."""
        metrics = self._metrics
        self._series = (metrics.confidence.labels(self._name), metrics.image_megapixels.labels(self._name))
        return self._series

    def _label(self, bucket: str) -> Counter:
        if bucket not in self._labels:
            self._labels[bucket] = self._metrics.labels.labels(self._name, bucket)
        return self._labels[bucket]

    def _format(self, form: str) -> Counter:
        if form not in self._formats:
            self._formats[form] = self._metrics.image_formats.labels(self._name, form)
        return self._formats[form]


def _shares(baseline: Baseline) -> dict[tuple[str, str, str], float]:
    """By signal, bucket and the bucket below it: the shares."""
    found = {}
    for signal, counts in baseline.counts.items():
        bounds = bounds_of(signal)
        below = dict(zip(bounds, ("", *bounds), strict=False))
        buckets = {OTHER: 0, NONE: 0, **counts} if signal == LABELS else counts
        for bucket, count in buckets.items():
            found[signal, bucket, below.get(bucket, "")] = count / baseline.images(signal)
    return found
