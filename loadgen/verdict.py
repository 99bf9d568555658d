"""What a run had to show and what it showed: checks, their table, the verdict, its exit code. Pure.

PASS: all checks are met. FAIL: one is measured and missed. INVALID: none is missed, but the run is faulty itself or
cannot say that all are met.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadgen.tables import Table, texts

Outcome = Literal["PASS", "FAIL", "INVALID"]
EXIT_CODES: Final[dict[Outcome, int]] = {"PASS": 0, "FAIL": 1, "INVALID": 2}
SHARE: Final = "share"
"""The unit of a ratio that people read as a percentage."""
NOT_MEASURED: Final = "not measured"
SHOWN: Final = 5  # reasons written out


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold: what was seen (None: not measured) beside what is wanted.

    `met` is None where the run cannot say. `note` tells why, or a doubt; `reasons` are examples of what was missed.
    """

    name: str
    seen: float | None
    wanted: float
    at_least: bool = False  # or at most
    unit: str = ""
    met: bool | None
    note: str = ""
    reasons: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """On a run. `reasons`: why it is not PASS; `notes`: what to doubt of the run all the same."""

    outcome: Outcome
    reasons: Sequence[str]
    checks: Sequence[Check]
    notes: Sequence[str] = ()

    @property
    def exit_code(self) -> int:
        """0, 1 or 2."""
        return EXIT_CODES[self.outcome]

    def __str__(self) -> str:
        return "\n- ".join([f"Verdict: {self.outcome}", *self.reasons])


def at_most(name: str, value: float, limit: float, *, unit: str = "") -> Check:
    """Met up to the limit itself; never by what was not measured (nan)."""
    return Check(name=name, seen=_known(value), wanted=limit, unit=unit, met=value <= limit)


def at_least(name: str, value: float, limit: float, *, unit: str = "") -> Check:
    """Met from the limit itself on; never by what was not measured (nan)."""
    return Check(name=name, seen=_known(value), wanted=limit, at_least=True, unit=unit, met=value >= limit)


def none_of(name: str, found: Sequence[str]) -> Check:
    """Met if there is none; the first few different ones are its reasons."""
    reasons = tuple(dict.fromkeys(found))[:SHOWN]
    return Check(name=name, seen=len(found), wanted=0, met=not found, reasons=reasons)


def conclude(checks: Iterable[Check], faults: Sequence[str] = (), *, notes: Sequence[str] = ()) -> Verdict:
    """The verdict by these checks; `faults` make the run INVALID, whatever they say."""
    checks = list(checks)
    met = [check.met for check in checks]
    outcome: Outcome = "INVALID" if faults or None in met else "PASS"
    if False in met and not faults:
        outcome = "FAIL"
    reasons = [*faults, *(line for check in checks if not check.met for line in _missed(check))]
    return Verdict(outcome=outcome, reasons=reasons, checks=checks, notes=notes)


def table(checks: Sequence[Check]) -> Table:
    """The checks, each in a line."""
    seen = [amount(check.seen, check.unit) for check in checks]
    wanted = [f"{'≥' if check.at_least else '≤'} {amount(check.wanted, check.unit)}" for check in checks]
    return Table(
        "",
        [
            texts("what", [check.name for check in checks]),
            texts("seen", seen, "number"),
            texts("wanted", wanted, "number"),
            texts("met", [_met(check) for check in checks], "verdict"),
        ],
    )


def amount(value: float | None, unit: str = "") -> str:
    """A figure of a check, with its unit."""
    if value is None:
        return NOT_MEASURED
    if unit == SHARE:
        return f"{100 * value:.2f} %"
    written = f"{value:.0f}" if value == int(value) else f"{value:.4g}"
    return f"{written} {unit}".rstrip().replace(" /", "/")


def _met(check: Check) -> str:
    word = {True: "met", False: "missed", None: "INVALID"}[check.met]
    return f"{word}: {check.note}" if check.note else word


def _missed(check: Check) -> Iterable[str]:
    seen = "" if check.seen is None else f"{amount(check.seen, check.unit)}, "
    bound = f"{'at least' if check.at_least else 'at most'} {amount(check.wanted, check.unit)}"
    yield f"{check.name}: {seen}wanted {bound}{f' ({check.note})' if check.note else ''}"
    yield from (f"  {reason}" for reason in check.reasons)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
