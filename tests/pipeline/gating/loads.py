"""Loads for tests of the gate that nobody sent: what came of them is said, so what follows from it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from topfive_pipeline.gating.load_plan import Cell, LoadPlan
from topfive_pipeline.gating.loading import ROLES, Load, Measured, Role
from topfive_pipeline.under_load.mixes import Query, Scenario
from topfive_pipeline.under_load.objectives import Objectives

EIGHT: Final = Cell("random", workers=8)
OPEN: Final = Cell("random")
SCENARIOS: Final[tuple[Scenario, ...]] = ("raw", "jpeg")
PLAN: Final = LoadPlan(photos=(), workers={"random": (8,)}, rounds=4)


def load(
    seconds: float | Sequence[float], *, failures: Mapping[str, int] | None = None, fault: str = "", count: int = 200
) -> Load:
    """Right answers to two queries in turn, each after `seconds`, or after those said, again and again."""
    each = [seconds] if isinstance(seconds, float) else list(seconds)
    answered = tuple((number % 2, each[number % len(each)]) for number in range(count))
    return Load(answered=answered, rate=50.0, failures=failures or {}, fault=fault)


def measured(
    candidate: Sequence[Load], live: Sequence[Load], *, cell: Cell = EIGHT, plan: LoadPlan = PLAN, **slo: Any
) -> Measured:
    """A gate in which these were the loads of one cell; `slo`: the sections of objectives."""
    if slo:
        plan = LoadPlan(photos=(), workers=plan.workers, rounds=plan.rounds, objectives=Objectives.model_validate(slo))
    queries = tuple(Query(kind=each, scenario=each, media_type="", body=b"") for each in SCENARIOS)
    found = Measured(plan, queries={"random": queries})
    for role, loads in zip(ROLES, (candidate, live), strict=True):
        found.loads[cell, role] = list(loads)
    return found


def remember(found: Measured, role: Role, megabytes: Sequence[float]) -> None:
    """Give the memory of `role` these values, in the middle of each of its loads, which last a second each."""
    for cell in found.plan.cells:
        loads = found.loads.get((cell, role))
        if not loads:
            continue
        for number, (one, size) in enumerate(zip(loads, megabytes, strict=True)):
            loads[number] = Load(
                answered=one.answered, rate=one.rate, failures=one.failures, began=number, ended=number + 1.0
            )
            found.memory[role].samples.append((number + 0.5, size * 1e6))
