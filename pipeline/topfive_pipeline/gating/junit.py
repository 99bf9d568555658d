"""A gate as JUnit's XML, which systems of continuous integration show: a test case for each finding.

The shape is the one that Jenkins and GitLab read: `testsuites`, in it a `testsuite` for each chapter, in that a
`testcase` for each finding, with a `failure` if it is missed, or an `error` if it is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.gate import Gated

_NO_XML: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even as references."""


def as_junit(told: Gated) -> str:
    """The whole document."""
    root = Element("testsuites", {"name": _clean(f"gate: {told.sentence}"), **_counts(told.findings)})
    root.set("time", f"{told.seconds:.1f}")
    for chapter in told.chapters:
        if chapter.findings:
            _suite(root, chapter, told.candidate)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, chapter: Chapter, candidate: str) -> None:
    suite = SubElement(root, "testsuite", {"name": _clean(chapter.title), **_counts(chapter.findings), "skipped": "0"})
    suite.set("time", "0")
    for finding in chapter.findings:
        case = SubElement(suite, "testcase", {"classname": f"gate.{chapter.key}", "name": _clean(finding.name)})
        case.set("time", "0")
        if finding.met:
            SubElement(case, "system-out").text = _clean(_told(finding))
            continue
        kind = "error" if finding.met is None else "failure"
        said = _clean(f"{finding.seen}, wanted {finding.wanted}")
        SubElement(case, kind, {"message": said, "type": kind}).text = _clean(f"{candidate}: {_told(finding)}")


def _counts(findings: Sequence[Finding]) -> dict[str, str]:
    return {
        "tests": str(len(findings)),
        "failures": str(sum(finding.met is False for finding in findings)),
        "errors": str(sum(finding.met is None for finding in findings)),
    }


def _told(finding: Finding) -> str:
    lines = [f"{finding.name}: {finding.seen}, wanted {finding.wanted}", finding.note, *finding.reasons]
    return "\n".join(filter(None, lines))


def _clean(text: str) -> str:
    return _NO_XML.sub("�", text)
