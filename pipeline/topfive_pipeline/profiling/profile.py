"""What came of a profile: the evidence, what it says, and how it was made. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from topfive_pipeline.judging.machine import Machine
from topfive_pipeline.profiling.evidence import Evidence
from topfive_pipeline.profiling.stacks import Function
from topfive_pipeline.profiling.verdict import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A profile of the service that serves `name`.

    `load`: what was sent, in words; empty if others sent it. `findings`: the bottleneck first. `functions` of the event
    loop; `stacks` of all threads, for the picture. `unknown`: what could not be seen, and what to do about it.
    """

    name: str
    when: datetime
    machine: Machine
    seconds: float
    load: str
    evidence: Evidence
    findings: tuple[Finding, ...]
    functions: tuple[Function, ...]
    stacks: Mapping[str, int]
    stack_seconds: float
    unknown: tuple[str, ...]

    @property
    def summary(self) -> str:
        """The sentence on top, and what holds besides."""
        first, *others = self.findings
        besides = f" Besides: {', '.join(other.name for other in others)}." if others else ""
        return f"'{self.name}': {first.sentence}.{besides}"

    def to_dict(self) -> dict[str, Any]:
        """All but the stacks for programs, of types that JSON has: what is not finite is null."""
        found = asdict(self) | {"when": self.when.isoformat(), "summary": self.summary}
        del found["stacks"]
        plain: dict[str, Any] = _plain(found)
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value
