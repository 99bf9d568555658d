"""The tables of the verdict on a run, and of its comparison with another run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from loadtests.comparison import CPU, ERRORS, P50, P90, P99, RESIDENT, THROUGHPUT, Change, Figure, closed_subject
from loadtests.report.measured import cells_of
from loadtests.results import MIXES, Cell, Mix, Run
from topfive_loadgen.tables import MB, MS, NOTHING, Column, Table, numbers, one, texts
from topfive_loadgen.verdict import Verdict, table

_BRIEF = (THROUGHPUT, P50, P90, P99, ERRORS, CPU, RESIDENT)
_TITLES = {
    THROUGHPUT: "images/s",
    P50: "p50, ms",
    P90: "p90, ms",
    P99: "p99, ms",
    ERRORS: "errors, %",
    CPU: "CPU, ms/image",
    RESIDENT: "RSS, MB",
}
_SCALES = {"seconds": MS, "bytes": MB, "ratio": 100.0, "per second": 1.0}
_UNITS = {"seconds": "ms", "bytes": "MB", "ratio": "%", "per second": "/s"}
_SIGNS = {"better": "✓", "worse": "✗"}


def checks(verdict: Verdict) -> list[Table]:
    """Each objective with the measured value; missed ones first."""
    found = [check for met in (False, None, True) for check in verdict.checks if check.met is met]
    if not found:
        return []
    return [table(found)]


def summary(verdict: Verdict) -> str:
    """How many objectives were met, missed, or not judged."""
    met = [check.met for check in verdict.checks]
    told = ((False, "missed"), (None, "of which the run cannot tell"), (True, "met"))
    return "Objectives: " + ", ".join(f"{met.count(each)} {words}" for each, words in told if each in met)


def beyond_noise(changes: Sequence[Change]) -> list[Table]:
    """The figures that changed, with a line for each subject."""
    told: dict[str, dict[str, list[str]]] = {}
    for change in changes:
        if change.verdict in _SIGNS:
            told.setdefault(change.subject, {}).setdefault(change.verdict, []).append(_told(change))
    if not told:
        return []
    columns = [
        texts(verdict, [_listed(verdicts.get(verdict, []), sign) for verdicts in told.values()], "verdict")
        for verdict, sign in reversed(_SIGNS.items())
        if any(verdict in verdicts for verdicts in told.values())
    ]
    return [Table("Beyond noise: ✓ better, ✗ worse", [texts("", told), *columns])]


def _told(change: Change) -> str:
    """A change in words; with both figures if no table below has them."""
    if change.figure in _BRIEF and "×" in change.subject:
        return f"{change.figure.name} {_percent(change)}"
    before, after = (_figure(value, change.figure) for value in (change.before, change.after))
    by = "" if change.ratio is None else f" ({_percent(change)})"
    return f"{change.figure.name} {before} → {after}{by}"


def _listed(figures: Sequence[str], sign: str) -> str:
    return f"{sign} {', '.join(figures)}" if figures else ""


def not_comparable(changes: Sequence[Change]) -> list[str]:
    """Each reason why figures are not comparable, with these figures."""
    concerned: dict[str, dict[str, None]] = {}
    for change in changes:
        if change.verdict == "not comparable":
            concerned.setdefault(change.reason, {})[_concerned(change, changes)] = None
    return [f"not comparable, {reason}: {', '.join(subjects)}" for reason, subjects in concerned.items()]


def _concerned(change: Change, changes: Sequence[Change]) -> str:
    """Subject and figure; the subject alone if the same reason holds for all its figures."""
    others = [other for other in changes if other.subject == change.subject]
    return change.subject if all(other.reason == change.reason for other in others) else change.what


def _figure(value: float | None, figure: Figure) -> str:
    return "none" if value is None else f"{_written(value, figure)} {_UNITS[figure.unit]}".replace(" /", "/")


def _written(value: float, figure: Figure) -> str:
    return one(value, scale=_SCALES[figure.unit])


def _percent(change: Change) -> str:
    """The change in percent; for an error ratio, in percentage points."""
    if change.figure is ERRORS and change.before is not None and change.after is not None:
        return f"{100 * (change.after - change.before):+.2f} points".replace("-", "−")
    return NOTHING if change.ratio is None else f"{change.ratio - 1:+.0%}".replace("-", "−").replace("%", " %")


def side_by_side(run: Run, baseline: Run, changes: Sequence[Change]) -> list[tuple[Table, Table]]:
    """For each mix, the baseline's table and this run's; figures that changed beyond noise are marked."""
    told = {(change.subject, change.figure): change for change in changes}
    return [
        (_brief(baseline, mix, "baseline", {}), _brief(run, mix, "this run", told))
        for mix in MIXES
        if cells_of(run, mix) and cells_of(baseline, mix)
    ]


def _brief(run: Run, mix: Mix, which: str, told: Mapping[tuple[str, Figure], Change]) -> Table:
    cells = cells_of(run, mix)
    columns = [numbers("workers", [cell.workers for cell in cells], decimals=0)]
    for figure in _BRIEF:
        plain = numbers(_TITLES[figure], [_of(cell, figure) for cell in cells], scale=_SCALES[figure.unit])
        marks = [_mark(told.get((closed_subject(cell), figure))) for cell in cells]
        columns.append(Column(plain.title, [mark + text for text, mark in zip(plain.cells, marks, strict=True)]))
    return Table(f"{mix} queries, {which}: {run.name}", columns)


def _mark(change: Change | None) -> str:
    return f"{_SIGNS[change.verdict]} " if change and change.verdict in _SIGNS else ""


def _of(cell: Cell, figure: Figure) -> float | None:
    latency, server = cell.latency, cell.server
    if figure in (P50, P90, P99):
        return getattr(latency, figure.name) if latency else None
    if figure is CPU:
        return server.cpu_cores / cell.throughput if server and server.cpu_cores and cell.throughput else None
    if figure is RESIDENT:
        return server.resident_bytes if server else None
    return cell.throughput if figure is THROUGHPUT else cell.error_ratio
