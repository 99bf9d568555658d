"""Checks, and the word that a run ends in."""

from __future__ import annotations

import math

import pytest

from topfive_loadgen import tables, verdict
from topfive_loadgen.verdict import SHARE, Check, amount, at_least, at_most, conclude, none_of

MET = Check(name="a", seen=1, wanted=1, met=True)
MISSED = Check(name="b", seen=2, wanted=1, unit="ms", met=False, reasons=("for this",))
UNSAID = Check(name="c", seen=None, wanted=1, at_least=True, met=None, note="too few samples")


def test_a_limit_is_met_at_the_limit() -> None:
    assert at_most("x", 5, 5).met
    assert not at_most("x", 5.001, 5).met
    assert at_least("x", 0.95, 0.95).met
    assert not at_least("x", 0.9499, 0.95).met


def test_what_was_not_measured_is_not_met() -> None:
    """On either side: a run in which nothing was accepted has no p99, and must not pass for it."""
    for check in (at_most("x", math.nan, 5), at_least("x", math.nan, 0)):
        assert (check.met, check.seen) == (False, None)


def test_reasons_are_the_first_few_different_ones() -> None:
    check = none_of("x", ["a", "a", "b", "c", "d", "e", "f"])
    assert (check.seen, check.met) == (7, False)
    assert [*check.reasons] == ["a", "b", "c", "d", "e"]
    assert none_of("x", []).met


def test_a_run_passes_if_all_is_met() -> None:
    found = conclude([MET])
    assert (str(found), found.exit_code) == ("Verdict: PASS", 0)


def test_a_missed_check_fails_the_run_and_says_why() -> None:
    """Even beside one of which the run cannot tell."""
    found = conclude([MET, MISSED])
    assert str(found).splitlines() == ["Verdict: FAIL", "- b: 2 ms, wanted at most 1 ms", "-   for this"]
    assert (found.exit_code, conclude([MISSED, UNSAID]).outcome) == (1, "FAIL")


def test_a_run_that_cannot_tell_is_invalid() -> None:
    found = conclude([MET, UNSAID])
    assert str(found) == "Verdict: INVALID\n- c: wanted at least 1 (too few samples)"
    assert found.exit_code == 2


def test_a_faulty_run_says_nothing_of_the_service() -> None:
    """Whatever its checks say."""
    found = conclude([MET, MISSED], ["the generator fell behind"])
    assert str(found).startswith("Verdict: INVALID\n- the generator")
    assert found.exit_code == 2


def test_the_table_has_a_line_for_each() -> None:
    lines = tables.markdown(verdict.table([MET, MISSED, UNSAID])).splitlines()
    assert len(lines) == 5
    assert [line.split("|")[4].strip() for line in lines[2:]] == ["met", "missed", "INVALID: too few samples"]


@pytest.mark.parametrize(
    ("value", "unit", "written"),
    [
        (3.0, "", "3"),
        (0.94991, "", "0.9499"),
        (120.4, "/s", "120.4/s"),
        (0.001, SHARE, "0.10 %"),
        (None, "", "not measured"),
    ],
)
def test_an_amount_has_its_unit(value: float | None, unit: str, written: str) -> None:
    assert amount(value, unit) == written
