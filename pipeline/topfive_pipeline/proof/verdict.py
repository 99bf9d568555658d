"""What was proven of a written model, step by step, and what was not."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final

LEVELS: Final = 2
"""The most grey levels: a value between two may be rounded either way, after each of the two passes."""
RARE: Final = 0.05
"""The largest share of the values that may differ by more than one level: where 300 pixels become 342, many values lie
exactly between two levels, and 2 % of them fall to the other side twice. A crop that is off by a pixel differs by more
than `LEVELS`."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One step of a proof. `passed`: None if it was not tried, or is not judged; `said`: figures, or what is wrong."""

    step: str
    passed: bool | None
    said: str


@dataclass(frozen=True, slots=True)
class Proof:
    """The steps in the order of a request; `figures` are numbers for programs, by name."""

    findings: tuple[Finding, ...]
    figures: dict[str, float] = field(default_factory=dict)

    @property
    def failure(self) -> Finding | None:
        """The first step that differs."""
        return next((finding for finding in self.findings if finding.passed is False), None)

    def as_json(self) -> dict[str, Any]:
        return {
            "passed": self.failure is None,
            "steps": [asdict(each) for each in self.findings],
            "figures": self.figures,
        }
