"""Who gets the canary, and when it is taken back."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from topfive.ground.trial_rules import CanaryRule
from topfive.ground.types import Timings
from topfive.observe.metrics import Metrics
from topfive.rollout.canary import CANARY, LIVE, Canary
from topfive.rollout.switch import Switch
from topfive.rollout.verdict import WINDOW

QUICK = Timings(0.001, 0.001, 0.0, 0.008)


def canary(share: float = 0.05, *, version: int = 2, folder: Path | None = None) -> Canary:
    rule = CanaryRule("lite", version, share)
    metrics = Metrics().trials.canary("lite", version)
    return Canary(rule, switch=Switch(folder), metrics=metrics, most_slowdown=1.5)


@given(st.binary(max_size=200), st.sampled_from([0.01, 0.3, 0.99]))
def test_the_same_key_gets_the_same_version_in_every_process(key: bytes, share: float) -> None:
    assert canary(share).takes(key) == canary(share).takes(key)


@given(st.sampled_from([0.01, 0.05, 0.5]), st.integers(0, 1 << 30))
@settings(max_examples=10)
def test_it_gets_its_share(share: float, start: int) -> None:
    """Within six standard deviations of the binomial distribution."""
    count = 4000
    one = canary(share)
    taken = sum(one.takes(b"user-%d" % (start + number)) for number in range(count))
    assert abs(taken - count * share) <= 6 * math.sqrt(count * share * (1 - share))


def test_a_larger_share_keeps_those_who_have_it() -> None:
    small, large = canary(0.05), canary(0.5)
    keys = [b"%d" % number for number in range(2000)]
    assert {key for key in keys if small.takes(key)} < {key for key in keys if large.takes(key)}


def test_a_user_with_large_photos_does_not_make_the_canary_slow() -> None:
    """Photos are decoded and resized alike for all versions, and a user's own may all be the canary's."""
    one = canary(0.5)
    for number in range(300):
        wait = 0.001 * (number % 2)
        one.count(LIVE, 200, Timings(0.001, 0.001, wait, 0.008))
        one.count(CANARY, 200, Timings(0.1, 0.02, wait, 0.008))
    one.review()
    assert one.describe()["state"] == "on"


def test_another_version_gets_other_clients() -> None:
    keys = [b"%d" % number for number in range(2000)]
    one, other = canary(0.2), canary(0.2, version=3)
    both = sum(one.takes(key) and other.takes(key) for key in keys)
    assert 40 <= both <= 130, "one in twenty-five"


def test_it_is_taken_back_for_all_processes_and_given_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    one, other = canary(0.5, folder=tmp_path), canary(0.5, folder=tmp_path)
    keys = [b"%d" % number for number in range(50)]
    for _ in range(20):
        one.count(CANARY, 500, None)
        one.count(LIVE, 200, QUICK)
    one.review()
    other.review()
    assert "the canary 'lite' version 2 is rolled back: it fails more often: 20 of 20 requests" in caplog.text
    for each in (one, other):
        assert not any(each.takes(key) for key in keys)
        assert each.describe()["state"] == "off"
        assert each.describe()["reason"].startswith("it fails more often")
    other.resume()
    one.review()
    for each in (one, other):
        assert any(each.takes(key) for key in keys)
        assert each.describe()["state"] == "on"
        assert each.describe()["arms"]["canary"] == {"requests": 0, "faults": 0, "mean_seconds": None}


def test_clients_mistakes_are_no_faults_of_the_canary() -> None:
    one = canary()
    for _ in range(100):
        one.count(CANARY, 422, None)
        one.count(LIVE, 200, QUICK)
    one.review()
    assert one.describe()["state"] == "on"


def test_a_long_good_past_hides_no_bad_present() -> None:
    one = canary()
    for _ in range(WINDOW):
        one.count(CANARY, 200, QUICK)
        one.count(LIVE, 200, QUICK)
    one.review()
    arms = one.describe()["arms"]
    assert arms["canary"] == arms["live"] == {"requests": WINDOW / 2, "faults": 0, "mean_seconds": 0.008}


def test_an_operator_turns_it_off_and_a_missing_version_is_said(caplog: pytest.LogCaptureFixture) -> None:
    one = canary()
    one.found(served=False)
    one.found(served=False)
    assert one.describe()["state"] == "absent"
    assert caplog.text.count("the canary is not served, and the live version answers its share") == 1
    one.found(served=True)
    one.stop()
    assert (one.describe()["state"], one.describe()["reason"]) == ("off", "an operator has turned it off")
