"""How long the servers of both take from start to ready: started in turns, where their repositories are here."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.contestants import Contestant, Pair
from topfive_pipeline.gating.findings import Chapter, Finding
from topfive_pipeline.gating.load_plan import LoadPlan
from topfive_pipeline.gating.loading import ROLES, Progress, Role, contestant
from topfive_pipeline.judging.tables import Table
from topfive_pipeline.proof.served import serve
from topfive_pipeline.under_load.turns import turns

LONGER: Final = 1.5
SECONDS: Final = 1.0
"""A start may take so many times as long as the live version's, and so many seconds: it comes seldom."""
_WANTED: Final = f"{LONGER:g} times the live version's and {SECONDS:g} s"

Clock = Callable[[], float]


def chapter(pair: Pair, plan: LoadPlan, progress: Progress, *, clock: Clock = time.monotonic) -> Chapter:
    """Start each server `plan.starts` times; without findings if one of both cannot be started here."""
    if pair.candidate.repository is None or pair.live.repository is None or not plan.starts:
        return _chapter({}, (), notes=("Not measured: a service that runs already cannot be started here.",))
    taken: dict[Role, list[float]] = {role: [] for role in ROLES}
    for number, _, role in turns((None,), ROLES, rounds=plan.starts):
        progress(f"start-up: {number + 1} of {plan.starts}, the {role} version")
        try:
            taken[role].append(_seconds(contestant(pair, role), clock))
        except ConfigurationError as error:  # it was started before, so this is worth a finding
            return _chapter(taken, (_failed(role, str(error)),))
    return _chapter(taken, (judged(taken["candidate"], taken["live"]),))


def _seconds(one: Contestant, clock: Clock) -> float:
    assert one.repository is not None
    began = clock()
    with serve(one.repository, one.flags):
        return clock() - began


def judged(candidate: list[float], live: list[float]) -> Finding:
    """Whether the median start of the candidate is not much slower."""
    mine, its = statistics.median(candidate), statistics.median(live)
    limit = LONGER * its + SECONDS
    wanted = f"≤ {limit:.1f} s, {_WANTED}"
    return Finding(name="start-up", seen=f"{mine:.1f} s beside {its:.1f} s", wanted=wanted, met=mine <= limit)


def _failed(role: Role, reason: str) -> Finding:
    met = False if role == "candidate" else None
    return Finding(
        name="start-up", seen=f"the {role} version did not start again", wanted=f"≤ {_WANTED}", met=met, note=reason
    )


def _chapter(taken: dict[Role, list[float]], findings: tuple[Finding, ...], *, notes: tuple[str, ...] = ()) -> Chapter:
    rows = tuple(
        (role, f"{statistics.median(seconds):.2f}", f"{min(seconds):.2f}", f"{max(seconds):.2f}")
        for role, seconds in taken.items()
        if seconds
    )
    return Chapter(
        key="start-up",
        title="Start-up",
        lead="From the start of the process to ready, so with loading and warm-up; in turns, the files being in the "
        "page cache.",
        findings=findings,
        tables=(Table(("version", "median, s", "least, s", "most, s"), rows),) if rows else (),
        notes=notes,
        figures={role: list(seconds) for role, seconds in taken.items()},
    )
