"""The ranges of values by three ways, from what photos really give."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pipeline.graphs.networks import outputs
from tests.pipeline.optimising import networks
from topfive_pipeline.optimising.calibration import METHODS, Histogram, ranges
from topfive_pipeline.optimising.measuring import with_scores
from topfive_pipeline.optimising.source import Source


def _histogram(numbers: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Histogram:
    counts, edges = np.histogram(numbers, 2048)
    return Histogram(float(edges[0]), float(edges[-1]), counts)


def test_max_is_what_occurs(source: Source, histograms: dict[str, Histogram]) -> None:
    clamped = next(node for node in source.model.graph.node if node.op_type == "Clip").output[0]
    values = outputs(with_scores(source.model, clamped), pixels=np.stack(networks.crops(24)))[clamped]
    low, high = ranges(histograms, "max")[clamped]
    assert low == 0
    assert high == pytest.approx(values.max(), rel=1e-5)


def test_every_value_of_the_network_has_a_range_with_zero_in_it(
    source: Source, histograms: dict[str, Histogram]
) -> None:
    for method in METHODS:
        found = ranges(histograms, method)
        assert {source.begin, source.scores} <= set(found)
        assert all(low <= 0 <= high for low, high in found.values())


def test_zeros_are_not_counted(source: Source, histograms: dict[str, Histogram]) -> None:
    clamped = next(node for node in source.model.graph.node if node.op_type == "Clip").output[0]
    values = outputs(with_scores(source.model, clamped), pixels=np.stack(networks.crops(24)))[clamped]
    assert histograms[clamped].counts.sum() == np.count_nonzero(values)
    assert np.count_nonzero(values) < values.size


def test_rare_numbers_far_away_are_cut_off_by_percentile_and_entropy_only() -> None:
    numbers = np.append(np.random.default_rng(0).normal(0, 1, 200_000), [50.0, -50.0])
    given = {"value": _histogram(numbers)}
    assert ranges(given, "max")["value"] == pytest.approx((-50, 50))
    for method in ("percentile", "entropy"):
        low, high = ranges(given, method)["value"]
        assert -20 < low < -3
        assert 3 < high < 20


def test_a_value_that_is_always_zero_has_the_range_zero() -> None:
    given = {"value": Histogram(0.0, 0.0, np.zeros(2048, np.int64))}
    assert {ranges(given, method)["value"] for method in METHODS} == {(0.0, 0.0)}
