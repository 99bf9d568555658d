"""What a run had to show and what it showed: checks, their table, the exit code.

Pure: no clock, no process, no file.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks import figures, report

SHOWN = 5  # reasons written out


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold: what was seen beside what is wanted."""

    name: str
    seen: str
    wanted: str
    met: bool
    reasons: Sequence[str] = ()


def at_most(name: str, value: float, limit: float, *, unit: str = "") -> Check:
    """Met up to the limit itself; never by what was not measured (nan)."""
    return Check(name, _measured(value, unit), f"≤ {limit:g} {unit}".rstrip(), value <= limit)


def at_least(name: str, value: float, limit: float, *, unit: str = "") -> Check:
    """Met from the limit itself on; never by what was not measured (nan)."""
    return Check(name, _measured(value, unit), f"≥ {limit:g} {unit}".rstrip(), value >= limit)


def none_of(name: str, found: Sequence[str]) -> Check:
    """Met if there is none; the first few different ones are its reasons."""
    return Check(name, str(len(found)), "0", not found, list(dict.fromkeys(found))[:SHOWN])


def equal(name: str, seen: object, wanted: object) -> Check:
    """Met if both are the same; for what is short."""
    return Check(name, str(seen), str(wanted), seen == wanted)


def markdown(checks: Iterable[Check]) -> str:
    """The checks as a table."""
    lines = [(check.name, check.seen, check.wanted, "yes" if check.met else "NO") for check in checks]
    return report.table([("what", "seen", "wanted", "met"), *lines])


def conclude(checks: Iterable[Check], faults: Sequence[str] = ()) -> str:
    """The run in one word, with its reasons. `faults` make it INVALID: it then says nothing of the service."""
    lines = [*faults]
    for check in checks:
        if not check.met:
            lines.append(f"{check.name}: {check.seen}, wanted {check.wanted}")
            lines += [f"  {reason}" for reason in check.reasons]
    word = figures.INVALID if faults else figures.MISSED if lines else figures.PASS
    return "\n- ".join([f"Verdict: {word}", *lines])


def exit_code(checks: Iterable[Check], faults: Sequence[str] = ()) -> int:
    """0 only for a valid run in which every check is met."""
    return int(bool(faults) or not all(check.met for check in checks))


def _measured(value: float, unit: str) -> str:
    if math.isnan(value):
        return "not measured"
    return f"{value:.0f} {unit}".rstrip() if value == int(value) else f"{report.number(value)} {unit}".rstrip()
