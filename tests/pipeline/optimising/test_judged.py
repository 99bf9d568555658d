"""What photos that had no part in choosing say of a loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from topfive_pipeline.optimising.bench import Pictures
from topfive_pipeline.optimising.judged import judge, why_refused
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


def test_more_than_the_budget_is_refused_with_what_would_help() -> None:
    after = LABELS.copy()
    after[:3] += 1
    judged = judge(_pictures(100, LABELS), _scores(after), _scores(LABELS), budget=0.005)
    said = why_refused(judged, budget=0.005)
    assert said is not None
    assert said.startswith("it loses 3.0 points on 100 photos that had no part in choosing it, and 0.5 are allowed")
    assert "more photos to calibrate on" in said
    assert why_refused(judged, budget=0.03) is None


def test_without_labels_agreement_must_be_high() -> None:
    after = LABELS.copy()
    after[:11] = (after[:11] + 1) % 4
    judged = judge(_pictures(100, None), _scores(after), _scores(LABELS), budget=0.005)
    assert (judged.loss, judged.interval) == (None, None)
    assert "give labelled photos" in (why_refused(judged, budget=0.005) or "")
    same = judge(_pictures(100, None), _scores(LABELS), _scores(LABELS), budget=0.005)
    assert why_refused(same, budget=0.005) is None
