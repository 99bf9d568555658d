"""What must hold of the candidate beside the live version: it stays up, fails no more often, is not slower. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from topfive_pipeline.gating.findings import Finding
from topfive_pipeline.gating.load_cells import Pooled, compared, pooled
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import ROLES, Measured
from topfive_pipeline.gating.ratios import CHANCE, Ratios, chance_of_more
from topfive_pipeline.judging.tables import figure
from topfive_pipeline.under_load.mixes import Mix

_MS: Final = 1e3
_ENOUGH: Final = 3
"""Reasons that are shown."""


def findings(measured: Measured, mix: Mix) -> list[Finding]:
    """All of one mix; that both stay up is told with the first."""
    cells = [cell for cell in measured.plan.cells if cell.mix == mix and cell.rate is None]
    found = list(_stays_up(measured)) if mix == measured.plan.mixes[0] else []
    found.append(_errors(measured, mix))
    for cell in cells:
        found += _speed(measured, cell)
    return found


def questions(measured: Measured) -> int:
    """How many ratios a gate judges."""
    return sum(2 if cell.workers else 1 for cell in measured.plan.cells if cell.rate is None)


def _stays_up(measured: Measured) -> Iterator[Finding]:
    name, wanted = "the servers stay up under load", "both do"
    if not measured.ended:
        yield Finding(name=name, seen="both do", wanted=wanted, met=True)
    for role, reason in measured.ended.items():
        blame = role == "candidate"
        note = "" if blame else "nothing can be compared with a live version that ends"
        said = f"the {role} version's ended: {reason}"
        yield Finding(name=name, seen=said, wanted=wanted, met=False if blame else None, note=note)


def _errors(measured: Measured, mix: Mix) -> Finding:
    """Over all loads of the mix; a failure more or less may be chance, so the difference is tested."""
    cells = [cell for cell in measured.plan.cells if cell.mix == mix]
    mine, its = ([pooled(measured, cell, role) for cell in cells] for role in ROLES)
    failed, asked = _sum(mine)
    its_failed, its_asked = _sum(its)
    name, wanted = f"{mix}: error ratio beside live", "not above the live version's"
    if not asked or not its_asked:
        return Finding(name=name, seen="not measured", wanted=wanted, met=None, note="nothing was answered")
    share, other = failed / asked, its_failed / its_asked
    met: bool | None = share <= other
    note = ""
    if not met:
        chance = chance_of_more(failed, asked, its_failed, its_asked)
        met = False if chance <= CHANCE else None
        note = f"{failed} failures of {asked} requests beside {its_failed} of {its_asked}"
        note += "" if met is False else ": it may be chance"
    counted: dict[str, int] = {}
    for each in mine:
        for reason, count in each.failures.items():
            counted[reason] = counted.get(reason, 0) + count
    most = sorted(counted, key=counted.__getitem__, reverse=True)[:_ENOUGH]
    reasons = tuple(f"{counted[reason]} × {reason}" for reason in most)
    seen = f"{share:.2%} beside {other:.2%}"
    return Finding(name=name, seen=seen, wanted=wanted, met=met, note=note, reasons=reasons)


def _sum(all_of_it: list[Pooled]) -> tuple[int, int]:
    return sum(each.failed for each in all_of_it), sum(each.asked for each in all_of_it)


def _speed(measured: Measured, cell: Cell) -> Iterator[Finding]:
    """p99 beside the live version's, and of a closed loop the throughput."""
    found = compared(measured, cell)
    mine, its = (pooled(measured, cell, role) for role in ROLES)
    tolerance, many = measured.plan.tolerance, questions(measured)
    limit = 1 + tolerance
    name = f"{cell.title}: p99 beside live"
    wanted = f"at most {limit:.2f} times"
    if found.p99 is None:
        yield _unknown(measured, name, wanted, mine, its)
    else:
        seen = f"{found.p99.median:.2f} times live's; over all rounds {_ms(mine)} beside {_ms(its)}"
        yield _finding(name, seen, wanted, found.p99, limit=limit, many=many)
    if cell.workers is None:
        return
    name, wanted = f"{cell.title}: throughput beside live", f"at least {1 - tolerance:.2f} times"
    if found.time is None:
        yield _unknown(measured, name, wanted, mine, its)
        return
    all_rounds = f"{figure(mine.throughput)}/s beside {figure(its.throughput)}/s"
    seen = f"{1 / found.time.median:.2f} times live's; over all rounds {all_rounds}"
    yield _finding(name, seen, wanted, found.time, limit=1 / (1 - tolerance), many=many)


def _ms(side: Pooled) -> str:
    return f"{figure(_MS * side.percentile(99))} ms"


def _finding(name: str, seen: str, wanted: str, ratios: Ratios, *, limit: float, many: int) -> Finding:
    met = ratios.is_at_most(limit, of=many)
    note = "" if met is not None else undecided(ratios, limit=limit, many=many)
    return Finding(name=name, seen=seen, wanted=wanted, met=met, note=note)


def undecided(ratios: Ratios, *, limit: float, many: int) -> str:
    """Why the rounds cannot tell, and what would."""
    count = len(ratios.rounds)
    if count == 1:
        return "one round cannot tell: its noise is not known"
    spread = f"the {count} rounds spread from {min(ratios.rounds):.2f} to {max(ratios.rounds):.2f} times as long"
    more = ratios.more_rounds(limit, of=many)
    if more is None:
        return f"{spread}, too near the limit to tell by more rounds"
    return f"{spread}: about {more} more would tell"


def _unknown(measured: Measured, name: str, wanted: str, mine: Pooled, its: Pooled) -> Finding:
    if its.latencies and not mine.latencies and mine.asked:
        return Finding(name=name, seen="no right answer", wanted=wanted, met=False, reasons=tuple(mine.failures))
    faults = [*mine.faults, *its.faults]
    note = faults[0] if faults else ("the loads ended before it" if measured.ended else "nothing was answered")
    return Finding(name=name, seen="not measured", wanted=wanted, met=None, note=note)
