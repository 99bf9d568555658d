"""Checks, and the word that a run ends in."""

import math

from benchmarks import verdict
from benchmarks.verdict import Check, at_least, at_most, conclude, equal, exit_code, none_of

MET, MISSED = Check("a", "1", "1", met=True), Check("b", "2", "1", met=False, reasons=("for this",))


def test_a_limit_is_met_at_the_limit() -> None:
    assert at_most("x", 5, 5).met
    assert not at_most("x", 5.001, 5).met
    assert at_least("x", 0.95, 0.95).met
    assert not at_least("x", 0.9499, 0.95).met


def test_what_was_not_measured_is_not_met() -> None:
    """On either side: a run in which nothing was accepted has no p99, and must not pass for it."""
    for check in (at_most("x", math.nan, 5), at_least("x", math.nan, 0)):
        assert not check.met
        assert check.seen == "not measured"


def test_reasons_are_the_first_few_different_ones() -> None:
    check = none_of("x", ["a", "a", "b", "c", "d", "e", "f"])
    assert (check.seen, check.met) == ("7", False)
    assert [*check.reasons] == ["a", "b", "c", "d", "e"]
    assert none_of("x", []).met


def test_equal_is_met_by_the_same() -> None:
    assert equal("x", 0, 0).met
    assert not equal("x", -9, 0).met


def test_a_run_passes_if_all_is_met() -> None:
    assert conclude([MET]) == "Verdict: PASS"
    assert exit_code([MET]) == 0


def test_a_missed_check_fails_the_run_and_says_why() -> None:
    assert conclude([MET, MISSED]).splitlines() == ["Verdict: MISSED", "- b: 2, wanted 1", "-   for this"]
    assert exit_code([MET, MISSED]) == 1


def test_an_invalid_run_says_nothing_of_the_service_and_fails() -> None:
    assert conclude([MET], ["the generator fell behind"]).startswith("Verdict: INVALID\n- the generator")
    assert exit_code([MET], ["the generator fell behind"]) == 1


def test_the_table_has_a_line_for_each() -> None:
    table = verdict.markdown([MET, MISSED]).splitlines()
    assert len(table) == 4
    assert table[3].endswith("NO |")
