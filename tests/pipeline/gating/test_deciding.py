"""A limit is met by what was found, missed only if all of the interval is beyond it, and else undecided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from topfive_pipeline.gating.deciding import decided
from topfive_pipeline.judging.intervals import Interval


@pytest.mark.parametrize(
    ("found", "low", "high", "met", "note"),
    [
        (0.0, -0.4, 0.4, True, ""),
        (0.0, -0.9, 0.9, True, "these photos do not prove it; about 900 photos would"),
        (-0.8, -1.9, 0.3, None, "these photos cannot decide it; about 900 photos would (--accept-undecided"),
        (-3.0, -4.0, -2.0, False, ""),
    ],
)
def test_the_rule(found: float, low: float, high: float, met: bool | None, note: str) -> None:
    decision = decided(found, Interval(low, high), least=-0.5, more=900, accept=False)
    assert decision.met is met
    assert decision.note.startswith(note) if note else decision.note == ""


def test_what_is_undecided_can_be_accepted_and_that_is_said() -> None:
    decision = decided(-0.8, Interval(-1.9, 0.3), least=-0.5, more=None, accept=True)
    assert (decision.met, decision.accepted) == (True, True)
    assert decision.note == "undecided, and accepted as --accept-undecided says"
    assert not decided(-3.0, Interval(-4.0, -2.0), least=-0.5, more=None, accept=True).met


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1))
def test_more_is_never_worse(found: float, below: float, above: float, least: float) -> None:
    order = {False: 0, None: 1, True: 2}
    one, other = (
        decided(each, Interval(each - below, each + above), least=least, more=None, accept=False).met
        for each in (found, found + 0.1)
    )
    assert order[one] <= order[other]
