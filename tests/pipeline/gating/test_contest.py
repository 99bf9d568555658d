"""What wins and losses decide: a loss, no loss, or nothing yet."""

from __future__ import annotations

import pytest

from topfive_pipeline.gating.contest import Population, contest, population, sampled
from topfive_pipeline.judging.intervals import difference_interval


def signs(won: int, lost: int, tied: int = 0) -> list[int]:
    return [1] * won + [-1] * lost + [0] * tied


@pytest.mark.parametrize(
    ("won", "lost", "photos", "met"),
    [
        (0, 5, 10_000, False),  # five losses in a row show, however many photos are the same
        (0, 4, 100, None),
        (5, 0, 10, True),  # five wins show too
        (40, 45, 200, True),  # even, and enough of them: two losses for a win are excluded
        (4, 5, 60, None),  # even, and too few
        (0, 0, 500, True),  # no difference in 500 photos: at most 1 of 100 is lost on balance
        (0, 0, 50, True),  # none in 50 may still be 5 of 100, which is said
        (1, 1, 250, True),  # one in a hundred differ at most
        (1, 2, 250, None),
        (0, 0, 0, None),  # nothing was asked
        (6, 8, 5_000, True),  # few photos of very many
    ],
)
def test_what_is_met(won: int, lost: int, photos: int, met: bool | None) -> None:
    found = contest(signs(won, lost), Population(photos, (won + lost) / max(1, photos)))
    assert found.met is met
    assert found.as_figures()["met"] is met


def test_what_is_met_and_not_proven_says_how_many_photos_would() -> None:
    few, many = (contest([], Population(photos, 0.0)) for photos in (50, 400))
    assert (few.met, few.is_proven) == (True, False)
    assert (many.met, many.is_proven) == (True, True)
    assert few.would_prove is not None
    assert contest([], Population(few.would_prove, 0.0)).is_proven
    assert not contest([], Population(few.would_prove - 1, 0.0)).is_proven


def test_the_balance_is_that_of_all_photos() -> None:
    found = contest(signs(8, 10, 5), population([True] * 23 + [False] * 77))
    assert found.balance == pytest.approx(-0.02)
    assert found.interval == difference_interval(10, 8, 100)
    assert (found.test.won, found.test.lost, found.tied) == (8, 10, 5)


def test_some_of_the_differing_photos_stand_for_all() -> None:
    """Half of 40 differing photos of 200 were judged: the balance is that of 100 photos of which 20 differ."""
    found = contest(signs(12, 6, 2), sampled(population([True] * 40 + [False] * 160), 0.5))
    assert found.balance == pytest.approx(6 / 100)
    assert found.interval == difference_interval(6, 12, 100)


def test_weights_count_in_the_balance() -> None:
    weights = [4.0, 1.0, 1.0] + [1.0] * 7
    found = contest(signs(1, 2), population([True] * 3 + [False] * 7, weights), weights=weights[:3])
    assert found.balance == pytest.approx((4 - 2) / 13)
    assert found.test.rate == pytest.approx(4 / 6)


def test_equal_weights_decide_as_none_do() -> None:
    differs = [True] * 30 + [False] * 70
    plain = contest(signs(10, 15, 5), population(differs))
    weighed = contest(signs(10, 15, 5), population(differs, [1.0] * 100), weights=[1.0] * 30)
    assert weighed.balance == pytest.approx(plain.balance)
    assert weighed.interval.low == pytest.approx(plain.interval.low)
    assert (weighed.test.better, weighed.test.worse) == pytest.approx((plain.test.better, plain.test.worse))


def test_what_is_lacking_to_find_a_loser_out() -> None:
    few, many = contest(signs(4, 5), Population(60, 0.15)), contest(signs(40, 45), Population(200, 85 / 200))
    assert few.lacking + 9 == 56
    assert few.found_out < 0.2
    assert many.lacking == 0
    assert many.found_out > 0.8


def test_no_photos_tell_nothing() -> None:
    found = contest([], population([]))
    assert (found.met, found.balance) == (None, 0.0)
