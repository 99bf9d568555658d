"""What is said of the traffic is understood, or refused with what to say instead."""

from __future__ import annotations

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.planning.mixes import mix_of, rate_of


@pytest.mark.parametrize(("text", "rate"), [("2000/s", 2000), ("30", 30), ("60000/m", 1000), ("3.6e6/h", 1000)])
def test_a_rate(text: str, rate: float) -> None:
    assert rate_of(text) == rate


@pytest.mark.parametrize("text", ["", "0", "-3/s", "10/d", "many", "1e99"])
def test_no_rate(text: str) -> None:
    with pytest.raises(ConfigurationError, match="say images a second"):
        rate_of(text)


@pytest.mark.parametrize(
    ("text", "mix"),
    [("jpeg", [("jpeg", 100.0)]), ("jpeg:80%,224x224:20%", [("jpeg", 80.0), ("224x224", 20.0)])],
)
def test_a_mix(text: str, mix: list[tuple[str, float]]) -> None:
    assert mix_of(text) == mix


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is none"),
        ("png", "--image png"),
        ("jpeg,mixed", "'jpeg' is none"),
        ("jpeg:50%,jpeg:50%", "said twice"),
        ("jpeg:50%,mixed:20%", "come to 70 %"),
        ("jpeg:0%,mixed:100%", "'jpeg:0%' is none"),
    ],
)
def test_no_mix(text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        mix_of(text)
