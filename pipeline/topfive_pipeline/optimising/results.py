"""The result of an optimisation: what was tried, what was chosen, what it loses, and what was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from topfive_pipeline.optimising.candidates import Candidate
from topfive_pipeline.optimising.comparison import Row
from topfive_pipeline.optimising.curve import Point
from topfive_pipeline.optimising.judged import Judged, Outcome
from topfive_pipeline.optimising.measuring import Speed
from topfive_pipeline.optimising.sensitivity import Sensitivity
from topfive_pipeline.optimising.trials import Trial
from topfive_pipeline.proof.verdict import Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimised:
    """What was tried and chosen. `refused`: why nothing was written, and what would help; None if it was, or would be.

    `trials` are in the order in which they were made; `chosen` is one of the points of the `curve`, which is empty if
    the kind of integers did not pay. `rows` are FP32, customary INT8 and the chosen graph, measured again, on the
    photos that judge: so are `speed`, `megabytes` and `judged` of the chosen. `recipe`: what graphs made like it lose
    on the photos of both halves, if they are labelled; it decides then. `candidates`: graphs on engines, the original
    and then the best, if more than int8 on ONNX Runtime was asked. `folders` are those it made.
    """

    name: str
    version: int
    features: tuple[str, ...]
    calibrated_on: int
    held: int
    trials: tuple[Trial, ...]
    sensitive: tuple[Sensitivity, ...] = ()
    curve: tuple[Point, ...] = ()
    chosen: Point | None = None
    speed: dict[int, Speed] = field(default_factory=dict)
    megabytes: tuple[float, float] = (0.0, 0.0)
    rows: tuple[Row, ...] = ()
    judged: Judged | None = None
    recipe: Judged | None = None
    candidates: tuple[Candidate, ...] = ()
    outcome: Outcome | None = None
    proof: Proof | None = None
    refused: str | None = None
    folders: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def lands_int8(self) -> bool:
        """Whether what lands is the chosen int8 graph, not the original on another engine."""
        best = self.candidates[1:2]
        return self.chosen is not None and (not best or best[0].way.numbers == "int8")
