from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.pipeline import colours
from tests.pipeline.graphs import networks
from topfive.ground.errors import ConfigurationError
from topfive_pipeline.preprocessing.candidates import candidates
from topfive_pipeline.proof.photos import Photo, read_photos
from topfive_pipeline.proof.ranking import MOST, Tried, labelled, losses, rank, standard_error, try_out
from topfive_pipeline.proof.running import Graph

GENERATOR = np.random.default_rng(3)


def tried(name: str, values: list[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> Tried:
    return Tried(name, None, np.asarray(values, np.float64), np.zeros(len(values), bool))


def test_a_loss_is_minus_the_logarithm_and_one_photo_does_not_decide() -> None:
    assert losses(np.array([1.0, np.exp(-2), 0.0])) == pytest.approx([0, 2, -np.log(1e-9)])


def test_the_best_comes_first_and_the_others_are_paired_with_it() -> None:
    """Photos differ by a lot, and the two by a little on each: paired, the little is clear."""
    hard = GENERATOR.exponential(2, 100)
    worse = hard + GENERATOR.normal(0.05, 0.05, 100)
    ranked = rank([tried("worse", worse), tried("best", hard)])
    assert [each.name for each in ranked] == ["best", "worse"]
    assert (ranked[0].behind, ranked[0].clear) == (0, False)
    assert ranked[1].clear
    assert ranked[1].behind == pytest.approx(float((worse - hard).mean()))
    assert ranked[1].error == pytest.approx(standard_error(worse - hard)) == pytest.approx(0.005, abs=0.002)


def test_a_difference_of_chance_is_not_clear() -> None:
    first = GENERATOR.exponential(1, 100)
    ranked = rank([tried("one", first), tried("other", first + GENERATOR.normal(0.01, 0.2, 100))])
    assert not any(each.clear for each in ranked)


def test_equal_ones_cannot_be_told_apart() -> None:
    ranked = rank([tried("one", [1.0, 2.0]), tried("other", [1.0, 2.0])])
    assert [(each.behind, each.error, each.clear) for each in ranked] == [(0, 0, False)] * 2


def test_those_that_were_given_up_are_compared_on_the_photos_that_they_got() -> None:
    ranked = rank([tried("given up", [5.0, 6.0]), tried("best", [1.0, 1.0, 9.0, 9.0])])
    assert [(each.name, each.photos, each.behind) for each in ranked] == [("best", 4, 0), ("given up", 2, 4.5)]


def test_labelled_photos_are_enough_and_not_too_many() -> None:
    unknown = [Photo(Path("x"))] * 60
    with pytest.raises(ConfigurationError, match=r"--find needs at least 50 photos .*, and 49 are; .*labels.csv"):
        labelled([*unknown, *[Photo(Path("y"), 1)] * 49], what_for="--find")
    assert len(labelled([*unknown, *[Photo(Path("y"), 1)] * 50], what_for="check")) == 50
    many = [Photo(Path(str(number)), 0) for number in range(1000)]
    few = labelled(many, what_for="check")
    assert (len(few), few[0], few[-1]) == (MOST, many[0], many[-1])


def test_a_network_knows_photos_best_by_the_preprocessing_it_was_trained_with(tmp_path: Path) -> None:
    network = Graph(networks.saved(colours.network(), tmp_path))
    photos = read_photos(colours.write_photos(tmp_path / "photos", 80))
    told: list[tuple[int, int]] = []
    results = try_out(
        network,
        "scores",
        [each for each in candidates(crop=(8, 8)) if each[0] in ("torchvision", "torchvision, BGR")],
        photos,
        layout="NCHW",
        scores="softmax",
        progress=lambda done, total: told.append((done, total)),
    )
    best, other = rank(results)
    assert (best.name, other.name) == ("torchvision", "torchvision, BGR")
    assert other.clear
    assert told[0] == (1, 80)
    assert told[-1] == (80, 80)
    assert 0.4 < best.top_1 < 1
