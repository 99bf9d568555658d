"""The sentence on top of a gate: yes, no or unknown, the worst of what missed, and how much else is met."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from topfive_pipeline.gating.findings import Finding

Verdict = Literal["yes", "no", "unknown"]

_NAMED: Final = 2
"""Misses that the sentence names; a third is named if it is the last."""
_SHORT: Final = 40
"""Letters of what is wanted that the sentence has room for."""
_FIGURE: Final = re.compile(r"\s*(?P<number>[+−-]?\d+(?:[.,]\d+)*)\s*(?P<unit>[^\s\d]*)")
_TURNED: Final = {"≤": ">", "≥": "<", "<": "≥", ">": "≤"}


def verdict(findings: Sequence[Finding]) -> Verdict:
    """No if one is missed; else unknown if one is unknown, or there is nothing at all."""
    if any(finding.met is False for finding in findings):
        return "no"
    return "yes" if findings and all(finding.met for finding in findings) else "unknown"


def sentence(findings: Sequence[Finding]) -> str:
    """The sentence, as `NO: p99 at 8 workers 61 ms > 50 ms; else 14 of 15 met.`."""
    if not findings:
        return "UNKNOWN: nothing was looked at."
    missed = worst_first([each for each in findings if each.met is False])
    unknown = [each for each in findings if each.met is None]
    met = len(findings) - len(missed) - len(unknown)
    if not missed and not unknown:
        accepted = sum(each.accepted for each in findings)
        but = f", {accepted} of them undecided and accepted" if accepted else ""
        return f"YES: all {met} met{but}." if met > 1 else f"YES: the only one is met{but}."
    head, told = ("NO", missed) if missed else ("UNKNOWN", unknown)
    also = f", {len(unknown)} unknown" if missed and unknown else ""
    return f"{head}: {_listed([said(each) for each in told])}; else {met} of {len(findings)} met{also}."


def said(finding: Finding) -> str:
    """A finding that is not met, in a few words: `p99 at 8 workers 61 ms > 50 ms`."""
    if finding.met is None:
        return f"{finding.name}: {finding.seen}" if finding.seen else finding.name
    sign, _, limit = finding.wanted.partition(" ")
    if sign in _TURNED:
        return f"{finding.name} {finding.seen} {_TURNED[sign]} {limit}"
    wanted = f", wanted {finding.wanted}" if len(finding.wanted) <= _SHORT else ""  # the report has it
    return f"{finding.name}: {finding.seen}{wanted}"


def worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Those without figures first, for they are musts; then by how many times the limit is missed."""
    return sorted(findings, key=lambda each: -_how_far(each))


def _how_far(finding: Finding) -> float:
    """How far it is beyond its limit, as a share of that; infinite where that is no question of more or less."""
    seen, limit = _FIGURE.match(finding.seen), _FIGURE.match(finding.wanted.lstrip("≤≥<> "))
    if seen is None or limit is None or finding.wanted[:1] not in _TURNED:
        return float("inf")
    one, other = (_number(found["number"]) for found in (seen, limit))
    if finding.wanted[0] in "≥>" and one > 0 < other:
        return other / one
    return abs(one - other) / abs(other) if other else float("inf")


def _number(text: str) -> float:
    return float(text.replace("−", "-").replace(",", ""))


def _listed(texts: Sequence[str]) -> str:
    if len(texts) <= _NAMED + 1:
        return "; ".join(texts)
    return f"{'; '.join(texts[:_NAMED])}; and {len(texts) - _NAMED} more"
