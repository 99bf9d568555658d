"""What a gate finds: checks that are met, missed or unknown, in chapters with their tables, and the sentence on top.

What lives here: values. What does not: how they are found (the modules beside this one), and how they are written
(`gating.reports`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from topfive_pipeline.judging.tables import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that must hold, in words that stand by themselves.

    `name`: what, "p99 at 8 workers". `seen` and `wanted`: figures with their units, "61 ms" and "≤ 50 ms". `met`: None
    if it could not be told. `note`: why it could not, or a doubt. `reasons`: examples of what missed it.
    `accepted`: it is undecided, and counts as met because somebody said so.
    """

    name: str
    seen: str
    wanted: str
    met: bool | None
    note: str = ""
    reasons: tuple[str, ...] = ()
    accepted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """An element `<svg>` with what it shows in words."""

    svg: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """What one part of the gate found.

    `key`: short and unique, of small letters and hyphens. `lead`: what the figures mean. `figures`: all that it
    measured, for gate.json. `notes`: what a reader should know beside the findings.
    """

    key: str
    title: str
    lead: str = ""
    findings: tuple[Finding, ...] = ()
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    figures: Mapping[str, object] = field(default_factory=dict)
