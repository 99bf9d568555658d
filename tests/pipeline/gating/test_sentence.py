"""One sentence says it: yes, no or unknown, the worst of what missed, and how much else is met."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.gating.told import MET, MISSED, UNKNOWN
from topfive_pipeline.gating.findings import Finding
from topfive_pipeline.gating.sentence import said, sentence, verdict, worst_first


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        ([MISSED, *[MET] * 14], "NO: p99 at 8 workers 61 ms > 50 ms; else 14 of 15 met."),
        ([MET] * 15, "YES: all 15 met."),
        ([MET], "YES: the only one is met."),
        ([MET, replace(MET, accepted=True)], "YES: all 2 met, 1 of them undecided and accepted."),
        ([UNKNOWN, MET], "UNKNOWN: memory: could not run; else 1 of 2 met."),
        ([UNKNOWN, MISSED, MET], "NO: p99 at 8 workers 61 ms > 50 ms; else 1 of 3 met, 1 unknown."),
        ([], "UNKNOWN: nothing was looked at."),
    ],
)
def test_the_sentence(findings: list[Finding], words: str) -> None:
    assert sentence(findings) == words


def test_of_many_misses_the_worst_are_named() -> None:
    many = [replace(MISSED, name=f"p{place}", seen=f"{place} ms") for place in (51, 90, 60, 70)]
    assert sentence(many) == "NO: p90 90 ms > 50 ms; p70 70 ms > 50 ms; and 2 more; else 0 of 4 met."
    assert sentence(many[:3]).count("; ") == 3


def test_musts_without_figures_are_the_worst() -> None:
    case = Finding(name="case: a cup", seen="plate 60%", wanted="cup first", met=False)
    rate = Finding(name="rate", seen="20 a second", wanted="≥ 80 a second", met=False)
    loss = Finding(name="top-1", seen="−1.00 points", wanted="≥ −0.50 points", met=False)
    assert worst_first([MISSED, loss, rate, case]) == [case, rate, loss, MISSED]
    assert said(case) == "case: a cup: plate 60%, wanted cup first"
    assert said(replace(case, wanted="a cup, " * 9)) == "case: a cup: plate 60%"
    assert said(rate) == "rate 20 a second < 80 a second"
    assert said(loss) == "top-1 −1.00 points < −0.50 points"
    assert said(replace(UNKNOWN, seen="")) == "memory"


@given(st.lists(st.sampled_from([MET, MISSED, UNKNOWN]), max_size=8))
def test_only_what_is_all_met_is_let_through(findings: list[Finding]) -> None:
    given = verdict(findings)
    assert sentence(findings).startswith(given.upper())
    assert (given == "yes") == (bool(findings) and all(finding is MET for finding in findings))
    assert (given == "no") == (MISSED in findings)
