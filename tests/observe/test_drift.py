"""What was sent and answered is counted once in each signal, and a baseline is published as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from tests.testkit.baselines import BASE
from topfive.ground.drift import FORMAT_NAMES, FORMATS, LABELS, SIGNALS, Sent
from topfive.observe.drift import DriftMetrics

IMAGE = Sent("jpeg", 12_192_768)


class Bench:
    """The metrics of drift by themselves; `keeps_series`: as of several processes."""

    def __init__(self, *, keeps_series: bool = False) -> None:
        self._registry = CollectorRegistry()
        self.metrics = DriftMetrics(self._registry, keeps_series=keeps_series)
        self.cat = self.metrics.model("cat")

    def samples(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of `name`, by the values of their labels but the model's."""
        return {
            tuple(value for label, value in sample.labels.items() if label != "model"): sample.value
            for family in self._registry.collect()
            for sample in family.samples
            if sample.name == name
        }

    def shares(self) -> Mapping[str, float]:
        """By signal, what the shares that are published add up to."""
        found = dict.fromkeys(SIGNALS, 0.0)
        for (signal, *_), share in self.samples("topfive_baseline_share").items():
            found[signal] += max(share, 0)
        return found


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(
            st.text(max_size=3),
            st.integers(0, 2000),
            st.floats(0, 1),
            st.builds(Sent, st.sampled_from(FORMAT_NAMES), st.integers(1, 10**9)),
        ),
        max_size=10,
    ),
    st.booleans(),
)
def test_every_image_is_in_one_bucket_of_each_signal(
    images: list[tuple[str, int, float, Sent]], has_baseline: bool
) -> None:
    bench = Bench()
    if has_baseline:
        bench.metrics.use({"cat": BASE})
    for image in images:
        bench.cat.count(*image)
    assert sum(bench.samples("topfive_labels_total").values()) == len(images)
    assert sum(bench.samples("topfive_image_formats_total").values()) == len(images)
    for name in ("topfive_confidence", "topfive_image_megapixels"):
        assert bench.samples(f"{name}_bucket").get(("+Inf",), 0) == len(images)


def test_a_model_that_no_client_calls_has_no_series() -> None:
    assert Bench().samples("topfive_confidence_bucket") == {}


def test_all_versions_of_a_model_share_their_counters() -> None:
    bench = Bench()
    bench.metrics.model("cat").count("tabby", 281, 0.5, IMAGE)
    bench.metrics.model("cat").count("tabby", 281, 0.5, IMAGE)
    assert bench.samples("topfive_labels_total") == {("classes 256-287",): 2}
    assert bench.samples("topfive_image_megapixels_bucket")["8.5",] == 0
    assert bench.samples("topfive_image_megapixels_bucket")["12.5",] == 2


@pytest.mark.parametrize("keeps_series", [False, True], ids=["one process", "several"])
def test_a_baseline_is_published_exchanged_and_taken_back(keeps_series: bool) -> None:
    """Its buckets count from 0, or Prometheus would miss the first image of each."""
    bench = Bench(keeps_series=keeps_series)
    metrics, whole = bench.metrics, dict.fromkeys(SIGNALS, pytest.approx(1))
    assert metrics.use({"cat": BASE}) == ["cat"]
    assert metrics.use({"cat": BASE}) == [], "it is no other"
    assert bench.shares() == whole
    assert bench.samples("topfive_labels_total") == {(label,): 0 for label in BASE.counts[LABELS]}
    assert bench.samples("topfive_image_formats_total") == {(form,): 0 for form in FORMAT_NAMES}
    assert bench.samples("topfive_confidence_bucket")["+Inf",] == 0
    assert bench.samples("topfive_baseline_images") == {(signal,): BASE.images(signal) for signal in SIGNALS}
    below = {bucket: before for signal, bucket, before in bench.samples("topfive_baseline_share") if signal != "labels"}
    assert [below[bucket] for bucket in ("0.1", "0.2", "51.0", "jpeg")] == ["", "0.1", "25.0", ""]

    other = replace(BASE, counts={**BASE.counts, LABELS: {"espresso": 3, "sundial": 1}})
    assert metrics.use({"cat": other}) == ["cat"]
    assert bench.shares() == whole
    bench.cat.count("tabby", 281, 0.5, IMAGE)
    assert bench.samples("topfive_labels_total")["(other)",] == 1

    assert metrics.use({}) == []
    assert bench.shares() == dict.fromkeys(SIGNALS, 0)
    assert sum(bench.samples("topfive_baseline_images").values()) == 0
    bench.cat.count("tabby", 281, 0.5, IMAGE)
    assert bench.samples("topfive_labels_total")["classes 256-287",] == 1
    assert metrics.use({"cat": BASE}) == ["cat"], "it may come back"
    assert bench.shares()[FORMATS] == pytest.approx(1)
