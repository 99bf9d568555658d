"""What several judges said is counted by photo, and their agreement is Cohen's kappa."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tests.pipeline.gating.sides import judged
from topfive_pipeline.gating.tally import cohens_kappa, tally


def test_a_photo_counts_once_for_whoever_has_more_judges() -> None:
    said = [
        *(judged("a", "candidate", judge=judge) for judge in ("ada", "bob")),
        judged("a", "live", judge="eve"),
        judged("b", "candidate"),
        judged("b", "live", judge="bob"),
        judged("c", "neither"),
        judged("d", "live"),
        judged("of another run", "live"),
    ]
    found = tally(said, "abcd")
    assert found.signs == {"a": 1, "b": 0, "c": 0, "d": -1}
    assert found.judges == {"ada": 4, "bob": 2, "eve": 1}
    assert found.verdicts == {"candidate": 3, "live": 3, "neither": 1}


def test_a_side_that_is_preferred_shows() -> None:
    said = [
        judged("a", "candidate", left="candidate"),
        judged("b", "live", left="live"),
        judged("c", "live", left="candidate"),
        judged("d", "equal", left="live"),
    ]
    found = tally(said, "abcd").sides
    assert (found.won, found.lost) == (2, 1)


@given(pairs=st.lists(st.tuples(st.sampled_from([-1, 0, 1]), st.sampled_from([-1, 0, 1])), min_size=2, max_size=20))
@settings(max_examples=30)
def test_kappa_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    one, other = zip(*pairs, strict=True)
    found = cohens_kappa(pairs)
    if len({*one, *other}) == 1:
        assert found is None  # whoever always says the same agrees by chance alone
    else:
        assert found == pytest.approx(cohen_kappa_score(one, other))


def test_kappa_is_of_photos_that_both_judged() -> None:
    shared = [
        judged(key, verdict, judge=judge)
        for judge in ("ada", "bob")
        for key, verdict in (("a", "live"), ("b", "equal"))
    ]
    assert tally([*shared, judged("c", "candidate")], "abc").kappa == pytest.approx(1)
    assert tally([judged("a", "live"), judged("b", "live", judge="bob")], "ab").kappa is None
    assert cohens_kappa([]) is None
