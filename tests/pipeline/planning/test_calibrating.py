"""A measurement of refusals is none; what is measured end to end: `tests/pipeline/commands/test_planning.py`."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.planning import calibrating
from topfive_pipeline.planning.calibrating import check, interleaved
from topfive_pipeline.planning.fitting import PAIR
from topfive_pipeline.under_load.load import Capacity


def test_a_server_that_answers_nothing_is_told_with_its_reasons() -> None:
    with pytest.raises(ConfigurationError, match=r"3 times 400 malformed_request\); does the model take what --mix"):
        check(Capacity(0.0, 3, failures={"400 malformed_request": 3}))
    check(Capacity(1.0, 3))


def test_two_requests_that_get_no_answer_are_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where each takes longer than the load of two lasts."""

    def load(*_: object, connections: int, **__: float) -> tuple[Capacity, float]:
        return (Capacity(0.0, 2, failures={"no answer": 2}) if connections == PAIR else Capacity(1.0, 0)), 0.1

    monkeypatch.setattr(calibrating, "_effort", load)
    with pytest.raises(ConfigurationError, match="2 times no answer"):
        calibrating._seen(Mock(), "http://127.0.0.1:9", [b""], 1.0, lambda _: None)


def test_kinds_are_mixed_by_their_shares() -> None:
    """Three quarters of one and a quarter of the other, the rarer one evenly between."""
    letters = "".join(interleaved([(75.0, ["a"]), (25.0, ["b"])]))
    assert (letters.count("a"), letters.count("b")) == (48, 16)
    assert max(map(len, letters.split("b"))) <= 4
