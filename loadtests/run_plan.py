"""The plan of a run: the options of `python -m loadtests run`, as one value."""

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


class NoPlan(Exception):
    """The plan cannot be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """The measurements of a run, in the order of the fields; empty fields are left out.

    `capacity_p99_seconds`: the objectives for which the capacity is searched. `processes`: of Locust, each with its
    share of the workers. Raises `NoPlan` if the plan cannot be measured.
    """

    workers: Sequence[int] = WORKERS
    mixes: Sequence[Mix] = MIXES
    scenarios: Sequence[Scenario]
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

    def __post_init__(self) -> None:
        if "grpc" in self.scenarios and len(self.scenarios) > 1:
            raise NoPlan("grpc is measured alone: --scenarios grpc")
        if "grpc" in self.scenarios and (self.null or self.is_open):
            raise NoPlan(
                "open loops and the null backend speak HTTP only: with grpc, --no-null --p99-ms= and no --rates"
            )
        if not self.all_mixes:
            raise NoPlan("there is nothing to measure: no --mixes, and no --rates or --p99-ms")
        if self.shapes and not self.mixes:
            raise NoPlan("shapes use the first of --mixes, and it is empty")

    @property
    def is_open(self) -> bool:
        """Whether the plan has open loops."""
        return bool(self.open_mixes and (self.open_rates or self.capacity_p99_seconds))

    @property
    def all_mixes(self) -> Sequence[Mix]:
        """All mixes that need queries."""
        return list(dict.fromkeys([*self.mixes, *(self.open_mixes if self.is_open else ())]))

    def described(self) -> Mapping[str, str]:
        """The options that a second run needs to be comparable; for the report."""
        rule = self.rule
        return {
            "scenarios": ", ".join(self.scenarios),
            "Locust's processes": str(self.processes),
            "windows": f"{rule.window_seconds:g} s after {rule.warm_up_seconds:g} s, at most {rule.windows_most}",
            "photos": "of packages" if self.photos is None else self.photos.name,
            "seed": str(self.seed),
        }
