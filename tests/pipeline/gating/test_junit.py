"""Systems of continuous integration read what was found: a test case for each finding."""

from __future__ import annotations

from dataclasses import replace
from xml.etree.ElementTree import fromstring

from tests.pipeline.gating.told import GATED, MISSED
from topfive_pipeline.gating.junit import as_junit


def test_each_finding_is_a_test_case_that_passed_failed_or_erred() -> None:
    root = fromstring(as_junit(GATED))
    assert root.tag == "testsuites"
    assert {name: root.get(name) for name in ("tests", "failures", "errors")} == {
        "tests": "11",
        "failures": "1",
        "errors": "1",
    }
    cases, load = root
    assert (load.get("name"), load.get("tests"), load.get("failures"), load.get("errors")) == ("Load", "3", "1", "1")
    assert {case.get("classname") for case in cases} == {"gate.cases"}
    met, missed, unknown = load
    assert [child.tag for case in (met, missed, unknown) for child in case] == ["system-out", "failure", "error"]
    assert missed[0].get("message") == "61 ms, wanted ≤ 50 ms"
    assert missed[0].text == "pets:2: p99 at 8 workers: 61 ms, wanted ≤ 50 ms\n<b>round 2</b>"
    assert "no /metrics | here" in (unknown[0].text or "")


def test_what_xml_cannot_hold_is_replaced() -> None:
    odd = replace(GATED.chapters[1], findings=(replace(MISSED, name="a\x00b", seen="\ud800<&>"),))
    (case,) = fromstring(as_junit(replace(GATED, chapters=(odd,))))[0]
    assert case.get("name") == "a�b"
    assert case[0].get("message") == "�<&>, wanted ≤ 50 ms"
