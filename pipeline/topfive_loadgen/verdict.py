"""The checks of a run, their table, the verdict, and its exit code. Pure.

PASS: all checks are met. FAIL: a check is missed. INVALID: the run itself is faulty, or no check is missed but one was
not measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from topfive_loadgen.tables import Table, texts

Outcome = Literal["PASS", "FAIL", "INVALID"]
EXIT_CODES: Final[dict[Outcome, int]] = {"PASS": 0, "FAIL": 1, "INVALID": 2}
SHARE: Final = "share"
"""The unit of a ratio that is shown as a percentage."""
NOT_MEASURED: Final = "not measured"
SHOWN: Final = 5  # at most so many reasons are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must hold: the measured value (None: not measured) beside the wanted one.

    `met` is None if the run cannot tell. `note` says why, or states a doubt; `reasons` are examples of misses.
    """

    name: str
    seen: float | None
    wanted: float
    at_least: bool = False  # False: at most
    unit: str = ""
    met: bool | None
    note: str = ""
    reasons: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict on a run. `reasons`: why it is not PASS; `notes`: doubts that remain in any case."""

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
    """A check that `value` is at most `limit`; nan (not measured) does not meet it."""
    return Check(name=name, seen=_known(value), wanted=limit, unit=unit, met=value <= limit)


def at_least(name: str, value: float, limit: float, *, unit: str = "") -> Check:
    """A check that `value` is at least `limit`; nan (not measured) does not meet it."""
    return Check(name=name, seen=_known(value), wanted=limit, at_least=True, unit=unit, met=value >= limit)


def none_of(name: str, found: Sequence[str]) -> Check:
    """A check that nothing was found; the first few different findings are its reasons."""
    reasons = tuple(dict.fromkeys(found))[:SHOWN]
    return Check(name=name, seen=len(found), wanted=0, met=not found, reasons=reasons)


def conclude(checks: Iterable[Check], faults: Sequence[str] = (), *, notes: Sequence[str] = ()) -> Verdict:
    """The verdict by these checks; `faults` of the run itself make it INVALID in any case."""
    checks = list(checks)
    met = [check.met for check in checks]
    outcome: Outcome = "INVALID" if faults or None in met else "PASS"
    if False in met and not faults:
        outcome = "FAIL"
    reasons = [*faults, *(line for check in checks if not check.met for line in _missed(check))]
    return Verdict(outcome=outcome, reasons=reasons, checks=checks, notes=notes)


def table(checks: Sequence[Check]) -> Table:
    """A table with one line for each check."""
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
