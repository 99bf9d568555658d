"""Compares a run with an earlier one: what got better or worse, beyond noise. Pure.

The rule. A figure changed if it differs by more than 20 %. Throughput, p50 and p99 are known for each window: for them
the ranges of the two runs (least to most over the windows that agreed) must also not overlap. An error ratio changed if
it differs by more than 0.001. Not compared: INVALID runs, cells that never settled, percentiles of too few samples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

from loadtests.results import Capacity, Cell, OpenRun, Run, Window
from topfive_loadgen.percentiles import Latencies, standing

Verdict = Literal["better", "worse", "within noise", "not comparable"]
Unit = Literal["per second", "seconds", "bytes", "ratio"]

# The same service, measured twice within 50 minutes on a shared machine, differed by up to 13 % in throughput and 16 %
# in p99, and the windows' ranges did not overlap: load by other users of the machine lasts longer than a window.
TOLERANCE: Final = 0.20
ERRORS_TOLERANCE: Final = 0.001
RULE: Final = (
    f"A figure changed if it is more than {100 * TOLERANCE:g} % off; of throughput, p50 and p99 the ranges over the "
    f"two runs' agreed windows must be apart, too. An error ratio changed if by more than {ERRORS_TOLERANCE}. The rest "
    "is within noise."
)
# Differences that a comparison is made for, or that two targets always have.
_EXPECTED_TO_DIFFER: Final = frozenset({"commit"})


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity that is compared."""

    name: str
    unit: Unit
    more_is_better: bool = False


THROUGHPUT: Final = Figure("throughput", "per second", more_is_better=True)
P50: Final = Figure("p50", "seconds")
P90: Final = Figure("p90", "seconds")
P99: Final = Figure("p99", "seconds")
CPU: Final = Figure("server CPU per request", "seconds")
RESIDENT: Final = Figure("peak RSS", "bytes")
ERRORS: Final = Figure("error ratio", "ratio")
RATE: Final = Figure("capacity", "per second", more_is_better=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A figure in both runs. `subject`: as "random × 8"; `reason`: why it is not comparable, or what None means."""

    subject: str
    figure: Figure
    before: float | None
    after: float | None
    verdict: Verdict
    reason: str = ""

    @property
    def what(self) -> str:
        """The subject and the figure."""
        return f"{self.subject}: {self.figure.name}"

    @property
    def ratio(self) -> float | None:
        """After ÷ before; None if that is no number."""
        return None if self.after is None or not self.before else self.after / self.before


@dataclass(frozen=True, slots=True)
class _Value:
    """A run's value of a figure; `span`: its least and most over the windows, for figures known for each window."""

    value: float | None
    span: tuple[float, float] | None = None
    fault: str = ""


def compare(run: Run, baseline: Run) -> list[Change]:
    """Compare all figures of closed cells, capacities and open loops that one of the runs has."""
    invalid = _invalid(run, baseline)
    return [
        *_paired(run.closed, baseline.closed, key=closed_subject, values=_cell_values, invalid=invalid),
        *_capacities(run, baseline, invalid=invalid),
        *_paired(run.open, baseline.open, key=open_subject, values=_open_values, invalid=invalid),
    ]


def differences(run: Run, baseline: Run) -> list[str]:
    """The differences in environment and plan: each may be the cause of a change."""
    now, then = flat(run.environment), flat(baseline.environment)
    names = [*then, *(name for name in now if name not in then)]
    return [
        f"{name}: {then.get(name, 'not stated')} before, {now.get(name, 'not stated')} now"
        for name in names
        if now.get(name) != then.get(name) and name not in _EXPECTED_TO_DIFFER
    ]


def flat(environment: Mapping[str, str | int | float | Mapping[str, str] | None]) -> dict[str, str]:
    """The environment as names and texts; nested names are joined, as in "versions: numpy"."""
    texts: dict[str, str] = {}
    for name, value in environment.items():
        if isinstance(value, Mapping):
            texts |= {f"{name}: {inner}": str(text) for inner, text in value.items()}
        else:
            texts[name] = "unknown" if value is None else str(value)
    return texts


def closed_subject(cell: Cell) -> str:
    """The name of a cell."""
    return f"{cell.mix} × {cell.workers}"


def open_subject(run: OpenRun) -> str:
    """The name of an open loop."""
    return f"{run.mix} at {run.rate:g}/s"


def capacity_subject(capacity: Capacity) -> str:
    """The name of a capacity."""
    return f"{capacity.mix}, p99 ≤ {capacity.p99_at_most * 1000:g} ms, errors ≤ {100 * capacity.errors_at_most:g} %"


def agreed_windows(cell: Cell) -> Sequence[Window]:
    """The windows that the cell's figures are computed from."""
    return cell.windows[max(0, len(cell.windows) - cell.agreed) :]


_Measured = TypeVar("_Measured")


def _by_key(measured: Iterable[_Measured], key: Callable[[_Measured], str]) -> dict[str, _Measured]:
    """Measurements by name; the second of the same name becomes "… (2)"."""
    seen: Counter[Hashable] = Counter()
    named: dict[str, _Measured] = {}
    for one in measured:
        name = key(one)
        seen[name] += 1
        named[name if seen[name] == 1 else f"{name} ({seen[name]})"] = one
    return named


def _paired(
    now: Iterable[_Measured],
    then: Iterable[_Measured],
    *,
    key: Callable[[_Measured], str],
    values: Callable[[_Measured], dict[Figure, _Value]],
    invalid: str,
) -> list[Change]:
    after, before = _by_key(now, key), _by_key(then, key)
    changes = []
    for subject in [*after, *(name for name in before if name not in after)]:
        ours = values(after[subject]) if subject in after else {}
        theirs = values(before[subject]) if subject in before else {}
        missing = _Value(None, fault=f"not measured in {'the baseline' if subject in after else 'this run'}")
        changes += [
            _change(subject, figure, theirs.get(figure, missing), ours.get(figure, missing), invalid=invalid)
            for figure in ours or theirs
        ]
    return changes


def _capacities(run: Run, baseline: Run, *, invalid: str) -> list[Change]:
    """As `_paired`; but "no rate meets the objective" counts as a result, the worst one."""
    changes = _paired(
        run.capacities, baseline.capacities, key=capacity_subject, values=_capacity_values, invalid=invalid
    )
    return [_without_none(change) for change in changes]


def _without_none(change: Change) -> Change:
    """Replace a rate of 0, which stands for "none", by None."""
    if 0 not in (change.before, change.after):
        return change
    return Change(
        subject=change.subject,
        figure=change.figure,
        before=change.before or None,
        after=change.after or None,
        verdict=change.verdict,
        reason=change.reason or "where there is no figure, no rate met the objective",
    )


def _cell_values(cell: Cell) -> dict[Figure, _Value]:
    fault = "" if cell.settled else "not settled"
    windows, latency, server = agreed_windows(cell), cell.latency, cell.server
    cores = server.cpu_cores if server else None
    return {
        THROUGHPUT: _Value(cell.throughput, _span(window.throughput for window in windows), fault),
        P50: _percentile(latency, 50, spread=_span(window.p50 for window in windows), fault=fault),
        P90: _percentile(latency, 90, fault=fault),
        P99: _percentile(latency, 99, spread=_span(window.p99 for window in windows), fault=fault),
        CPU: _Value(cores / cell.throughput if cores is not None and cell.throughput else None, fault=fault),
        RESIDENT: _Value(server.resident_bytes if server else None, fault=fault),
        ERRORS: _Value(cell.error_ratio, fault=fault),
    }


def _open_values(run: OpenRun) -> dict[Figure, _Value]:
    fault = "" if run.valid else f"INVALID ({'; '.join(run.faults)})"
    return {P99: _percentile(run.latency, 99, fault=fault), ERRORS: _Value(run.error_ratio, fault=fault)}


def _capacity_values(capacity: Capacity) -> dict[Figure, _Value]:
    fault = "" if capacity.valid else f"INVALID ({'; '.join(capacity.faults)})"
    return {RATE: _Value(capacity.rate or 0, fault=fault)}


def _percentile(
    latency: Latencies | None, percent: int, *, spread: tuple[float, float] | None = None, fault: str
) -> _Value:
    if latency is None:
        return _Value(None, fault=fault or "no right answer")
    if not fault and standing(latency.count, percent) == "not measured":
        fault = f"p{percent} of {latency.count} samples"
    return _Value({50: latency.p50, 90: latency.p90, 99: latency.p99}[percent], spread, fault)


def _span(values: Iterable[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def _invalid(run: Run, baseline: Run) -> str:
    told = ((f"{which} is INVALID: {'; '.join(one.faults)}", one.faults) for which, one in _both(run, baseline))
    return "; ".join(text for text, faults in told if faults)


def _both(run: Run, baseline: Run) -> tuple[tuple[str, Run], tuple[str, Run]]:
    return ("this run", run), ("the baseline", baseline)


def _change(subject: str, figure: Figure, before: _Value, after: _Value, *, invalid: str) -> Change:
    reason = invalid or _faults(before, after)
    verdict: Verdict = "not comparable"
    if not reason and before.value is not None and after.value is not None:
        verdict = _verdict(figure, before, after)
    elif not reason:
        reason = "not measured in either run" if before.value == after.value else "measured in one run only"
    return Change(
        subject=subject, figure=figure, before=before.value, after=after.value, verdict=verdict, reason=reason
    )


def _faults(before: _Value, after: _Value) -> str:
    """The faults in words; a fault of only one run is told with the run that has it."""
    if before.fault == after.fault:
        return before.fault
    told = ((before.fault, "the baseline"), (after.fault, "this run"))
    return "; ".join(fault if "not measured in" in fault else f"{fault} in {whose}" for fault, whose in told if fault)


def _verdict(figure: Figure, before: _Value, after: _Value) -> Verdict:
    assert before.value is not None
    assert after.value is not None
    if figure is ERRORS:
        changed = abs(after.value - before.value) > ERRORS_TOLERANCE
    else:
        changed = abs(after.value - before.value) > TOLERANCE * before.value and _are_apart(before.span, after.span)
    if not changed:
        return "within noise"
    return "better" if (after.value > before.value) == figure.more_is_better else "worse"


def _are_apart(before: tuple[float, float] | None, after: tuple[float, float] | None) -> bool:
    """Whether the ranges do not overlap; figures without ranges count as apart."""
    return before is None or after is None or before[1] < after[0] or after[1] < before[0]
