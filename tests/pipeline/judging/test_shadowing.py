"""What a service has counted of its shadow, read from its own metrics."""

from __future__ import annotations

import pytest

from topfive.observe.metrics import Metrics
from topfive_pipeline.judging.shadowing import read_shadows


def told(*, agreeing: int, differing: int, change: float = 0.03, dropped: int = 0) -> str:
    metrics = Metrics()
    shadow = metrics.trials.shadow("lite", "lite:2")
    for agrees in (True,) * agreeing + (False,) * differing:
        shadow.compared(agrees=agrees, change=change, overlap=0.8)
        shadow.took(live=0.02, shadow=0.03)
    shadow.dropped("busy", dropped)
    return metrics.exposition().decode()


def test_agreement_changes_times_and_drops_are_those_that_were_counted() -> None:
    (found,) = read_shadows(told(agreeing=190, differing=10, dropped=50))
    assert (found.agreed, found.compared, found.agreement) == (190, 200, 0.95)
    assert found.interval is not None
    assert 0.90 < found.interval[0] < 0.95 < found.interval[1] < 0.98
    assert all(0.025 <= value <= 0.05 for value in found.changes.values()), "the bucket of 0.03"
    assert list(found.changes) == ["p50", "p90", "p99"]
    assert found.overlap == pytest.approx(0.8)
    assert found.slowdown == pytest.approx(1.5)
    assert found.dropped == {"busy": 50}
    assert found.sentence.startswith("'lite:2' has the same first label as 'lite' for 95.00% of 200 images (95 %: 91.")
    assert found.sentence.endswith("; 20.0% of the 250 that were chosen were not compared.")


def test_few_images_are_said_to_be_few_and_none_to_be_none() -> None:
    (few,) = read_shadows(told(agreeing=9, differing=0))
    assert few.sentence.endswith("; these are too few to rely on.")
    (none,) = read_shadows(told(agreeing=0, differing=0, dropped=3))
    assert none.sentence == "No image was compared yet; 3 were dropped, most as 'busy'."
    assert (none.agreement, none.slowdown, none.changes) == (None, None, {})
    (begun,) = read_shadows(told(agreeing=0, differing=0))
    assert begun.sentence == "No image was compared yet."


def test_disagreements_are_those_of_the_same_shadow() -> None:
    one = {"request_id": "a", "image": 0, "live": [], "shadow": [], "seconds_ago": 1.0}
    mine = {"shadow": {"model": "lite", "target": "lite:2", "disagreements": [one]}, "canary": None}
    other = {"shadow": {"model": "lite", "target": "lite:3", "disagreements": [one]}, "canary": None}
    text = told(agreeing=1, differing=1)
    assert read_shadows(text, mine)[0].disagreements == (one,)
    assert read_shadows(text, other)[0].disagreements == read_shadows(text, {"shadow": None})[0].disagreements == ()
    assert read_shadows(text, mine)[0].document()["agreement"] == 0.5


def test_a_service_without_a_shadow_has_none_and_other_text_is_refused() -> None:
    assert read_shadows(Metrics().exposition().decode()) == []
    with pytest.raises(ValueError, match=r"\w"):
        read_shadows("<html>no metrics</html>")


def test_changes_beyond_the_last_bound_come_to_it() -> None:
    (found,) = read_shadows(told(agreeing=1, differing=0, change=1.5))
    assert set(found.changes.values()) == {1.0}
