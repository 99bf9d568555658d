"""Runs for the tests of experiments, as a store returns them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from topfive_pipeline.experiments.runs import Stored


def stored(number: int = 1, **fields: Any) -> Stored:
    """A run whose id begins with `number`; `fields` are otherwise than usual."""
    given: dict[str, Any] = {
        "id": f"{number:032x}"[::-1],
        "began": datetime(2026, 1, 2, 3, number, tzinfo=UTC),
        "status": "FINISHED",
        "params": {"part": "judge"},
        "metrics": {"top_1": 0.9},
        "tags": {"topfive.command": "evaluate", "topfive.model": f"pets:{number}", "data.sha256": "a" * 64},
    }
    return Stored(**given | fields)
