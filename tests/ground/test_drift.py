"""Every image has a bucket of each signal, the same in every process; however odd labels are, their buckets are few."""

from __future__ import annotations

import itertools
from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from tests.testkit.baselines import BASE
from topfive.ground.drift import (
    CONFIDENCE,
    CONFIDENCE_BOUNDS,
    FORMAT_NAMES,
    LABELS,
    MEGAPIXELS,
    MOST_CHARACTERS,
    NONE,
    OTHER,
    RAW,
    LabelBuckets,
    bounds_of,
    bucket_of,
    group_of,
)
from topfive.images.files.formats import HEIC, SERVED

ANSWERS: Final = st.lists(st.tuples(st.text(max_size=3) | st.just("a" * 500), st.integers(0, 3000)), max_size=200)


def test_the_formats_are_those_that_are_decoded_and_pixels() -> None:
    assert {kind.short for kind in (*SERVED, HEIC)} | {RAW} == set(FORMAT_NAMES)


@given(ANSWERS)
@example([(f"label {index}", index) for index in range(3000)])
@example([(f"label {turn}", 0) for turn in range(3000)])
def test_labels_have_few_buckets_whatever_they_are(answers: list[tuple[str, int]]) -> None:
    without, with_one = LabelBuckets(None), LabelBuckets(BASE.counts[LABELS])
    assert len({without.of(*answer) for answer in answers}) <= 66
    found = {with_one.of(*answer) for answer in answers}
    assert found <= {*BASE.counts[LABELS], OTHER, NONE}
    assert all(len(bucket) <= MOST_CHARACTERS for bucket in found)


@given(st.permutations([(f"label {index}", index) for index in (0, 1, 31, 32, 63, 64, 1023, 1024, 90_000)]))
def test_processes_that_see_labels_in_another_order_agree(answers: list[tuple[str, int]]) -> None:
    first, second = LabelBuckets(None), LabelBuckets(None)
    ours = {answer: first.of(*answer) for answer in answers}
    assert ours == {answer: second.of(*answer) for answer in sorted(answers)}


def test_a_label_counts_by_name_else_by_group_else_as_other() -> None:
    without, with_one = LabelBuckets(None), LabelBuckets(BASE.counts[LABELS])
    assert [without.of("tabby", 281), without.of("tench", 0), without.of("", 7)] == ["classes 256-287", "tench", NONE]
    assert [with_one.of("tabby", 281), with_one.of("", 281)] == ["tabby", NONE]
    assert [with_one.of("sundial", 835), with_one.of("tench", 0)] == ["classes 832-863", OTHER]
    assert [group_of(index) for index in (0, 31, 32, 1023, 1024)] == [
        "classes 0-31",
        "classes 0-31",
        "classes 32-63",
        "classes 992-1023",
        OTHER,
    ]


def test_a_class_that_changes_its_name_counts_by_the_first_one() -> None:
    buckets = LabelBuckets(None)
    assert [buckets.of("cat", 3), buckets.of("dog", 3), buckets.of("cat", 3)] == ["cat", OTHER, "cat"]


@given(st.floats(-0.01, 1.01) | st.sampled_from(CONFIDENCE_BOUNDS))
def test_a_number_falls_into_the_bucket_that_prometheus_puts_it_into(value: float) -> None:
    """And by the same name, or a baseline of photos and one of traffic would differ."""
    registry = CollectorRegistry()
    Histogram("h", "h", buckets=CONFIDENCE_BOUNDS, registry=registry).observe(value)
    (family,) = registry.collect()
    up_to = {sample.labels["le"]: sample.value for sample in family.samples if sample.name == "h_bucket"}
    assert tuple(up_to) == bounds_of(CONFIDENCE)
    assert next(bound for bound, count in up_to.items() if count) == bucket_of(value, CONFIDENCE_BOUNDS)


def test_buckets_of_numbers_are_in_order() -> None:
    for signal in (CONFIDENCE, MEGAPIXELS):
        bounds = [float(bound) for bound in bounds_of(signal)]
        assert all(low < high for low, high in itertools.pairwise(bounds))
    assert bounds_of(LABELS) == ()
