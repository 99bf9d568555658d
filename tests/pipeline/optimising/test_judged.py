"""What photos that had no part in choosing say of a loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from topfive_pipeline.optimising.bench import Pictures
from topfive_pipeline.optimising.judged import judge, outcome, why_refused
from topfive_pipeline.proof.photos import Photo


def _pictures(count: int, labels: NDArray[np.int64] | None) -> Pictures:
    return Pictures([Photo(Path(f"{number}.png")) for number in range(count)], [], labels)


def _scores(best: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.eye(4)[best] * 5


LABELS = np.arange(100) % 4


def test_losses_and_gains_are_paired() -> None:
    before, after = LABELS.copy(), LABELS.copy()
    before[:2] += 1  # wrong before, right after
    after[10:13] = (after[10:13] + 1) % 4
    judged = judge(_pictures(100, LABELS), _scores(after), _scores(before), budget=0.005)
    assert (judged.lost, judged.won, judged.loss) == (3, 2, 0.01)
    assert judged.interval is not None
    assert judged.interval.low < 0.01 < judged.interval.high
    assert judged.decides is None or judged.decides > 100


@pytest.mark.parametrize(
    ("lost", "budget", "found", "said"),
    [
        (1, 0.02, "within", None),
        (3, 0.005, "undecided", "so these photos do not decide it (some 233 like these would)"),
        (60, 0.005, "beyond", "which is more in any case; give more photos to calibrate on"),
    ],
)
def test_a_loss_is_within_the_budget_beyond_it_or_undecided(
    lost: int, budget: float, found: str, said: str | None
) -> None:
    after = LABELS.copy()
    after[:lost] = (after[:lost] + 1) % 4
    judged = judge(_pictures(100, LABELS), _scores(after), _scores(LABELS), budget=budget)
    assert outcome(judged, budget=budget) == found
    why = why_refused(judged, budget=budget)
    assert why is None if said is None else said in (why or "")


def test_only_what_is_undecided_can_be_accepted() -> None:
    after = LABELS.copy()
    after[:3] += 1
    judged = judge(_pictures(100, LABELS), _scores(after), _scores(LABELS), budget=0.005)
    assert (why_refused(judged, budget=0.005) or "").startswith(
        "it loses 3.0 points on 100 photos that had no part in making it, and 0.5 are allowed; at 95 % it is from -1.3"
    )
    assert why_refused(judged, budget=0.005, accepts_undecided=True) is None
    after = (LABELS + 1) % 4
    judged = judge(_pictures(100, LABELS), _scores(after), _scores(LABELS), budget=0.005)
    assert why_refused(judged, budget=0.005, accepts_undecided=True) is not None


def test_without_labels_agreement_must_be_high() -> None:
    after = LABELS.copy()
    after[:11] = (after[:11] + 1) % 4
    judged = judge(_pictures(100, None), _scores(after), _scores(LABELS), budget=0.005)
    assert (judged.loss, judged.interval) == (None, None)
    assert "give labelled photos" in (why_refused(judged, budget=0.005) or "")
    same = judge(_pictures(100, None), _scores(LABELS), _scores(LABELS), budget=0.005)
    assert why_refused(same, budget=0.005) is None
