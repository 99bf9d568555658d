"""What a run is to measure: the options of `python -m loadtests run`, as one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from loadtests.queries import Scenario
from loadtests.results import MIXES, Mix
from loadtests.shapes import Shape
from loadtests.windows import Rule

WORKERS: Final = (1, 2, 4, 8, 16)
REPOSITORY: Final = Path(__file__).resolve().parent.parent / "model_repository"
MODEL: Final = "efficientnet_lite0"

NULL_RULE: Final = Rule(warm_up_seconds=1.0, window_seconds=2.0, windows_most=6)
"""Of the null backend: it has nothing to warm up, and varies little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """Everything that is measured, in the order of the fields; what is empty is left out.

    `capacity_p99_seconds`: the objectives for which the capacity is searched. `scenarios`: empty for all that the server
    can be asked over HTTP. `processes`: of Locust, each with its share of the workers.
    """

    workers: Sequence[int] = WORKERS
    mixes: Sequence[Mix] = MIXES
    scenarios: Sequence[Scenario] = ()
    processes: int = 1
    rule: Rule = field(default_factory=Rule)
    null: bool = True
    shapes: Sequence[Shape] = ()
    open_rates: Sequence[float] = ()
    open_seconds: float = 20.0
    capacity_p99_seconds: Sequence[float] = (0.1, 0.05)
    open_mixes: Sequence[Mix] = ("random",)
    photos: Path | None = None
    repository: Path = REPOSITORY
    model: str = MODEL
    seed: int = 1

    def described(self) -> Mapping[str, str]:
        """For the report: what a second run would have to be told to be comparable."""
        rule = self.rule
        return {
            "scenarios": ", ".join(self.scenarios) or "all over HTTP",
            "Locust's processes": str(self.processes),
            "windows": f"{rule.window_seconds:g} s after {rule.warm_up_seconds:g} s, at most {rule.windows_most}",
            "photos": "of packages" if self.photos is None else self.photos.name,
            "seed": str(self.seed),
        }
