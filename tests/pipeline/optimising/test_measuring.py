"""Distances of scores, and speeds side by side."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pipeline.optimising import networks
from topfive_pipeline.optimising.measuring import best_classes, distance, scores_of, speeds
from topfive_pipeline.optimising.source import Source


def test_equal_scores_have_no_distance() -> None:
    scores = np.random.default_rng(0).standard_normal((10, 4))
    found = distance(scores, scores)
    assert (found.divergence, found.agreement, found.largest) == (0, 1, 0)
    assert found.sqnr > 200


def test_sqnr_is_in_decibels_of_power() -> None:
    reference = np.full((5, 3), 10.0)
    assert distance(reference + 1, reference).sqnr == pytest.approx(20)


def test_agreement_is_the_share_of_equal_first_classes() -> None:
    reference = np.eye(4)
    scores = reference[[0, 1, 2, 0]]
    assert distance(scores, reference).agreement == 0.75


def test_one_column_is_yes_against_no() -> None:
    assert best_classes(np.array([[-1.0], [2.0]])).tolist() == [0, 1]


def test_scores_of_many_crops_are_those_of_each(source: Source) -> None:
    crops = networks.crops(11)
    together = scores_of(source.model, source.scores, crops)
    alone = np.concatenate([scores_of(source.model, source.scores, [crop]) for crop in crops])
    assert together.shape == (11, 3)
    assert np.abs(together - alone).max() < 1e-4


def test_the_first_graph_is_as_fast_as_itself(source: Source) -> None:
    rounds: list[None] = []
    found = speeds([source.model, source.model], networks.crops(1)[0], rounds=3, step=lambda: rounds.append(None))
    assert len(rounds) == 6
    assert [set(each) for each in found] == [{1, 8}, {1, 8}]
    assert {(speed.ratio, speed.low, speed.high) for speed in found[0].values()} == {(1.0, 1.0, 1.0)}
    assert all(speed.low <= speed.ratio <= speed.high for speed in found[1].values())
