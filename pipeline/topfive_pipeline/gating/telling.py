"""What a gate's reports have in common: marks, who was compared, and the order in which findings are shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.gate import Gated
from topfive_pipeline.gating.sentence import worst_first
from topfive_pipeline.judging.tables import Table

MARKS: Final = {True: "✓ met", False: "✗ missed", None: "? unknown"}
COLUMNS: Final = ("what must hold", "seen", "wanted", "")


def in_order(findings: Sequence[Finding]) -> tuple[list[Finding], list[Finding], list[Finding]]:
    """The missed, worst first, the unknown, and the met."""
    missed = worst_first([finding for finding in findings if finding.met is False])
    return missed, [each for each in findings if each.met is None], [each for each in findings if each.met]


def checks(findings: Sequence[Finding]) -> Table:
    """A row for each."""
    return Table(COLUMNS, tuple((each.name, each.seen, each.wanted, MARKS[each.met]) for each in findings))


def remarks(findings: Sequence[Finding]) -> list[str]:
    """The notes and the reasons of findings, with their names."""
    return [
        f"{each.name}: {'; '.join(filter(None, [each.note, *each.reasons]))}"
        for each in findings
        if each.note or each.reasons
    ]


def compared(told: Gated) -> str:
    """Who, where and how long."""
    machine = told.machine
    cores = f"{machine.cores} core{'s' if machine.cores > 1 else ''}"
    return (
        f"{told.candidate} against {told.live}; {machine.cpu}, {cores}, topfive {machine.topfive}, ONNX Runtime "
        f"{machine.onnxruntime}; {told.seconds:.0f} s"
    )


def notes(chapter: Chapter) -> list[str]:
    """What a reader should know beside the findings: the chapter's own, and those of its findings."""
    return [*remarks(chapter.findings), *chapter.notes]


def left_out(told: Gated) -> str:
    """The parts that were not asked for, in a sentence; "" if all were."""
    return f"Not looked at: {'; '.join(told.left_out)}." if told.left_out else ""
