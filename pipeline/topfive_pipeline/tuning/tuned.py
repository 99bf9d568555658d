"""What came of a tuning: each candidate's figures, the last comparison, and what is written. Pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from topfive_pipeline.judging.machine import Machine
from topfive_pipeline.tuning.choosing import Candidate, Duel
from topfive_pipeline.tuning.settings import Setting
from topfive_pipeline.under_load.latency_objective import Objective

Verdict = Literal["better", "as good", "unmet"]
"""The best is clearly better than what is; nothing is; or the objective holds at no rate, whatever is set."""


@dataclass(frozen=True, slots=True)
class Point:
    """One open loop: latencies in seconds at the percentile of the first limit; whether the objective held."""

    rate: float
    latency: float | None
    failed_share: float
    held: bool
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One candidate. Rates are in requests a second, medians of its rounds.

    `ratio`, `low` and `high`: median and quartiles of the ratios to the configuration as it is, in the same rounds.
    `agreement`: the share of images with the same first label as before. `fate`, `reason`: see `Candidate`.
    """

    setting: Setting
    rounds: int
    rate: float | None
    capacity: float | None
    ratio: float | None
    low: float | None
    high: float | None
    agreement: float | None
    points: tuple[Point, ...]
    fate: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """A tuning of the model `name`, by its configuration `config`, on servers that ran `graph`.

    `final`: the last rounds, None if no candidate was ahead. `text`: the config.pbtxt that is better, or None;
    `written`: whether it is in its place. `cores_shared`: whether the load came from the server's cores.
    """

    name: str
    classifier: str
    config: str
    graph: str
    objective: Objective
    image: str
    images: int
    when: datetime
    machine: Machine
    seconds: float
    load_seconds: float
    cores_shared: bool
    tried: tuple[Tried, ...]
    chosen: Tried | None
    final: Duel | None
    verdict: Verdict
    text: str | None
    written: bool
    warnings: tuple[str, ...]

    @property
    def current(self) -> Tried:
        """The configuration as it is."""
        return self.tried[0]

    def to_dict(self) -> dict[str, Any]:
        """All of it for programs, of types that JSON has: an infinite ratio is null."""
        final = self.final
        found: dict[str, Any] = asdict(self) | {
            "objective": self.objective.text,
            "when": self.when.isoformat(),
            "final": None
            if final is None
            else {
                "ratios": list(final.ratios),
                "median": final.median,
                "won": final.won,
                "chance": final.chance,
                "clear": final.is_clear,
            },
        }
        return {name: _plain(value) for name, value in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def tried_of(candidate: Candidate, current: Candidate, objective: Objective, *, agreement: float | None) -> Tried:
    """The figures of `candidate`."""
    record = candidate.record
    ratios = candidate.ratios(current)
    low, high = _quartiles(ratios) if ratios else (None, None)
    return Tried(
        setting=candidate.setting,
        rounds=len(record.held),
        rate=statistics.median(record.held.values()) if record.held else None,
        capacity=statistics.median(each.rate for each in record.capacities) if record.capacities else None,
        ratio=statistics.median(ratios) if ratios else None,
        low=low,
        high=high,
        agreement=agreement,
        points=tuple(
            Point(
                rate=probe.rate,
                latency=probe.at(objective.limits[0].percent) if probe.latencies else None,
                failed_share=probe.failed_share,
                held=objective.margin(probe) <= 0,
                fault=probe.fault,
            )
            for probe in record.probes
        ),
        fate=candidate.fate,
        reason=candidate.reason,
    )


def _quartiles(values: list[float]) -> tuple[float, float]:
    """By nearest rank, so that each is a ratio that was measured, and may be infinite."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 4], ordered[-1 - (len(ordered) - 1) // 4]
