"""What must hold of the candidate beside the live version: it stays up, fails no more often, is not slower. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from topfive_pipeline.gating.findings import Finding
from topfive_pipeline.gating.load_cells import Pooled, compared, pooled
from topfive_pipeline.gating.load_plan import Cell
from topfive_pipeline.gating.loading import ROLES, Measured
from topfive_pipeline.gating.ratios import CHANCE, Ratios, chance_of_more, together
from topfive_pipeline.gating.sign_test import weighted_sign_test
from topfive_pipeline.judging.tables import figure
from topfive_pipeline.under_load.mixes import Mix

_MS: Final = 1e3
_ENOUGH: Final = 3
"""Reasons that are shown."""


def findings(measured: Measured, mix: Mix) -> list[Finding]:
    """All of one mix; that both stay up is told with the first."""
    cells = _cells(measured, mix)
    found = list(_stays_up(measured)) if mix == measured.plan.mixes[0] else []
    found.append(_errors(measured, mix))
    found += _all_loads(measured, mix)
    for cell in cells:
        found += _speed(measured, cell)
    return found


def questions(measured: Measured) -> int:
    """How many ratios a gate judges: the tail of each cell, throughput of closed loops, and both of each mix."""
    cells = [cell for mix in measured.plan.mixes for cell in _cells(measured, mix)]
    return sum(2 if cell.workers else 1 for cell in cells) + 2 * len(measured.plan.mixes)


def _cells(measured: Measured, mix: Mix) -> list[Cell]:
    """Those in which both are compared: at the rate of an objective the candidate alone is judged."""
    return [cell for cell in measured.plan.cells if cell.mix == mix and cell.rate is None]


def _stays_up(measured: Measured) -> Iterator[Finding]:
    name, wanted = "the servers stay up under load", "both do"
    if not measured.ended:
        yield Finding(name=name, seen="both do", wanted=wanted, met=True)
    for role, reason in measured.ended.items():
        blame = role == "candidate"
        note = "" if blame else "nothing can be compared with a live version that ends"
        said = f"the {role} version's server ended: {reason}"
        yield Finding(name=name, seen=said, wanted=wanted, met=False if blame else None, note=note)


def _errors(measured: Measured, mix: Mix) -> Finding:
    """Over all loads of the mix; a failure more or less may be chance, so the difference is tested, in two ways.

    Failures come in bursts: a queue that is full for a moment refuses many. So the counts alone do not tell; the
    candidate must also fail more often in so many loads, each beside the live version's, as a coin would not.
    """
    cells = [cell for cell in measured.plan.cells if cell.mix == mix]
    mine, its = ([pooled(measured, cell, role) for cell in cells] for role in ROLES)
    failed, asked = _sum(mine)
    its_failed, its_asked = _sum(its)
    name, other = f"{mix}: error ratio beside live", its_failed / its_asked if its_asked else 0.0
    wanted = f"≤ {other:.2%}"
    if not asked or not its_asked:
        return Finding(name=name, seen="not measured", wanted=wanted, met=None, note="nothing was answered")
    share = failed / asked
    met: bool | None = share <= other
    note = ""
    if not met:
        chance = chance_of_more(failed, asked, its_failed, its_asked)
        more = [each for cell in cells for each in _more_failures(measured, cell)]
        by_load = weighted_sign_test([1 if each < 0 else -1 for each in more], [abs(each) for each in more])
        met = False if max(chance, by_load.worse) <= CHANCE else None
        note = f"{failed} failures of {asked} requests beside {its_failed} of {its_asked}"
        if met is None:
            loads = sum(each > 0 for each in more)
            note += f", more than live in {loads} of {len(more)} loads: it may be chance"
    counted = sum((Counter(each.failures) for each in mine), Counter[str]())
    reasons = tuple(f"{count} × {reason}" for reason, count in counted.most_common(_ENOUGH))
    return Finding(name=name, seen=f"{share:.2%}", wanted=wanted, met=met, note=note, reasons=reasons)


def _more_failures(measured: Measured, cell: Cell) -> Iterator[float]:
    """How much larger a share of the candidate's requests failed than of the live version's, load by load."""
    for one, other in zip(measured.of(cell, "candidate"), measured.of(cell, "live"), strict=False):
        yield one.failed_share - other.failed_share


def _sum(all_of_it: list[Pooled]) -> tuple[int, int]:
    return sum(each.failed for each in all_of_it), sum(each.asked for each in all_of_it)


def _all_loads(measured: Measured, mix: Mix) -> Iterator[Finding]:
    """Both ratios over all cells of a mix, which must be proven: what is slower is mostly slower everywhere."""
    found = [(cell, compared(measured, cell)) for cell in _cells(measured, mix)]
    for what, each, limit, wanted in (
        ("tail latency", [one.tail for _, one in found], *_tail(measured)),
        ("throughput", [one.time for cell, one in found if cell.workers], *_throughput(measured)),
    ):
        name = f"{mix}, all loads: {what} beside live"
        known = [one for one in each if one is not None]
        if not known:
            yield Finding(name=name, seen="not measured", wanted=wanted, met=None, note="no round can be compared")
            continue
        ratios = together(known)
        times = 1 / ratios.mean if what == "throughput" else ratios.mean
        met = ratios.is_at_most(limit, of=questions(measured))
        note = "" if met is not None else undecided(ratios, limit=limit, many=questions(measured))
        yield Finding(name=name, seen=f"{times:.2f} times", wanted=wanted, met=met, note=note)


def _tail(measured: Measured) -> tuple[float, str]:
    """How many times as long p99 or p90 may be, and the same in words."""
    limit = 1 + measured.plan.tolerance
    return limit, f"≤ {limit:.2f} times"


def _throughput(measured: Measured) -> tuple[float, str]:
    """How many times as long the mean latency may be, and the same in words, of throughput."""
    least = 1 - measured.plan.tolerance
    return 1 / least, f"≥ {least:.2f} times"


def _speed(measured: Measured, cell: Cell) -> Iterator[Finding]:
    """p99 or p90 of one cell beside the live version's, and of a closed loop the throughput."""
    found = compared(measured, cell)
    mine, its = (pooled(measured, cell, role) for role in ROLES)
    percent = found.percent
    name, (limit, wanted) = f"{cell.title}: p{percent} beside live", _tail(measured)
    if found.tail is None:
        yield _unknown(measured, name, wanted, mine, its)
    else:
        seen = f"{found.tail.mean:.2f} times ({_ms(mine, percent)} beside {_ms(its, percent)} over all rounds)"
        yield _finding(name, seen, wanted, found.tail, limit=limit, many=questions(measured))
    if cell.workers is None:
        return
    name, (limit, wanted) = f"{cell.title}: throughput beside live", _throughput(measured)
    if found.time is None:
        yield _unknown(measured, name, wanted, mine, its)
        return
    all_rounds = f"{figure(mine.throughput)}/s beside {figure(its.throughput)}/s over all rounds"
    seen = f"{1 / found.time.mean:.2f} times ({all_rounds})"
    yield _finding(name, seen, wanted, found.time, limit=limit, many=questions(measured))


def _ms(side: Pooled, percent: int) -> str:
    return f"{figure(_MS * side.percentile(percent))} ms"


def _finding(name: str, seen: str, wanted: str, ratios: Ratios, *, limit: float, many: int) -> Finding:
    """Met within the limit, with a note if the rounds do not prove it; beyond it missed, if they prove that.

    It is the rule by which the gate judges photos too (`gating.deciding`, decision 27).
    """
    met = ratios.is_at_most(limit, of=many)
    if met is not None:
        return Finding(name=name, seen=seen, wanted=wanted, met=met)
    note = undecided(ratios, limit=limit, many=many)
    if len(ratios.rounds) > 1 and ratios.mean <= limit:
        return Finding(name=name, seen=seen, wanted=wanted, met=True, note=f"not proven by this load alone: {note}")
    return Finding(name=name, seen=seen, wanted=wanted, met=None, note=note)


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
