"""What a gate puts both contestants under: which loads, how long, how often, and what counts as worse. Values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from topfive_pipeline.proof.photos import Photo
from topfive_pipeline.under_load.mixes import MIXES, Mix
from topfive_pipeline.under_load.objectives import Objectives

BETWEEN: Final = 0.25
"""Seconds beyond its own that a load takes: connections, the last answers, handing the requests over."""
WORKERS: Final = (1, 2, 4, 8, 16)
QUICK_WORKERS: Final[Mapping[Mix, tuple[int, ...]]] = {"random": (1, 8, 16), "complex": (1, 8)}
"""A load of 16 large images outlasts its time several times over, until the last of them is answered."""
START_SECONDS: Final = 2.0
"""What a start of a server takes, for the plan alone."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One load: a closed loop of so many `workers`, or, if that is None, an open one at `rate`.

    `rate` None: at the plan's share of what the live version can do.
    """

    mix: Mix
    workers: int | None = None
    rate: float | None = None

    @property
    def title(self) -> str:
        if self.workers is not None:
            return f"{self.mix} × {self.workers}"
        return f"{self.mix}, open loop" if self.rate is None else f"{self.mix} at {self.rate:g}/s"

    @property
    def key(self) -> str:
        """Short and unique, for plots and JSON."""
        if self.workers is not None:
            return f"{self.mix}-{self.workers}"
        return f"{self.mix}-open" if self.rate is None else f"{self.mix}-at-{self.rate:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """The loads of a gate.

    `photos`: what requests are made of. `workers`: of closed loops, by mix. `rounds`: how often each load comes, of
    each contestant; `seconds`: how long a closed loop lasts, an open one twice as long. `open_share`: the rate of open
    loops, of what the live version does in closed ones. `tolerance`: how much worse than the live version the candidate
    may be, as a share. `starts`: how often each server is started.
    """

    photos: tuple[Photo, ...]
    workers: Mapping[Mix, tuple[int, ...]] = field(default_factory=lambda: dict.fromkeys(MIXES, WORKERS))
    rounds: int = 6
    seconds: float = 3.0
    open_share: float = 0.5
    tolerance: float = 0.10
    starts: int = 3
    objectives: Objectives | None = None
    is_quick: bool = False

    def quick(self) -> LoadPlan:
        """The same in two minutes: fewer workers, shorter loads, and only what is much worse counts."""
        return replace(self, workers=QUICK_WORKERS, rounds=6, seconds=0.6, tolerance=0.25, is_quick=True)

    @property
    def mixes(self) -> tuple[Mix, ...]:
        return tuple(self.workers)

    @property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(self._cells())

    def _cells(self) -> Iterator[Cell]:
        for mix in self.mixes:
            for workers in self.workers[mix]:
                yield Cell(mix, workers=workers)
            yield Cell(mix)
            if self.objectives is not None:
                for rate in dict.fromkeys(one.rate for one in self.objectives.open if one.mix == mix):
                    yield Cell(mix, rate=rate)

    def seconds_of(self, cell: Cell) -> float:
        """How long one load of `cell` lasts."""
        return self.seconds * (1 if cell.workers else 2)

    @property
    def load_seconds(self) -> float:
        """About what the loads take; those of large images take longer."""
        return 2 * self.rounds * sum(self.seconds_of(cell) + BETWEEN for cell in self.cells)

    @property
    def expected_seconds(self) -> float:
        """About what all of it takes."""
        return self.load_seconds + 2 * self.starts * START_SECONDS
