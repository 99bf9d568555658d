"""Memory over time: how fast it grows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import samples
from benchmarks.samples import Held


def at(seconds: float, resident: float) -> Held:
    return Held(seconds, int(resident), 14, 10)


@given(st.floats(-1e6, 1e6), st.floats(1e8, 1e9))
def test_the_slope_of_a_line_is_its_own(per_minute: float, level: float) -> None:
    line = [at(second, level + per_minute * second / 60) for second in range(120)]
    slope, intercept = samples.trend(line)
    assert slope == pytest.approx(per_minute, abs=2)
    assert intercept == pytest.approx(level, abs=2)


def test_what_is_used_once_at_the_start_is_no_growth() -> None:
    """The first third is for caches to fill; the last two show what goes on."""
    memory = [at(second, 100e6 + min(second, 30) * 1e6) for second in range(100)]
    assert samples.trend(memory)[0] > 1e6
    assert samples.trend(samples.last_two_thirds(memory))[0] == pytest.approx(0)
