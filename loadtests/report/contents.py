"""The sections of a report in their order, for Markdown and HTML alike. Sections without data are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from loadtests.comparison import RULE, Change, compare, differences
from loadtests.report import box, judged, measured
from loadtests.results import Run
from topfive_loadgen.tables import Table
from topfive_loadgen.verdict import Verdict

_CLOSED = (
    "Closed loop: each worker sends its next request when the answer to the last is there. Latencies are of right "
    "answers only, percentiles exact, of all samples of the windows that agreed. A closed loop waits while the server "
    "stalls, and so hides most of a stall; the open loop does not."
)
_OPEN = (
    "Open loop: requests arrive at random times (Poisson) at a fixed rate, whether or not earlier ones are answered. "
    "Latency counts from the scheduled time, so that a stall is seen by all who would have waited (no coordinated "
    "omission). INVALID: the generator itself fell behind, or the search did; such a point says nothing of the server."
)
_DISTRIBUTION = (
    "Each step to the right is a nine more: a line that bends up late has a long tail. Lines end where a further "
    "percentile would be the largest sample again."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading with its `lead`, tables (those in `pairs` side by side), `notes`, and the plot named by its key."""

    key: str
    title: str
    lead: str = ""
    tables: Sequence[Table] = ()
    pairs: Sequence[tuple[Table, Table]] = ()
    notes: Sequence[str] = ()
    caption: str = ""

    @property
    def empty(self) -> bool:
        """Whether the section has no content besides a plot."""
        return not (self.tables or self.pairs or self.notes)


def sections(run: Run, *, baseline: Run | None, verdict: Verdict | None) -> list[Section]:
    """All sections that have content or may have a plot."""
    return [*_judged(run, baseline, verdict), *_measured(run), _environment(run, baseline)]


def _judged(run: Run, baseline: Run | None, verdict: Verdict | None) -> Iterator[Section]:
    told = box.lines(run)
    faults = [fault for fault in run.faults if run.lost is None or fault != run.lost.reason]  # told there
    if verdict:
        notes = [*(f"the run: {fault}" for fault in faults), *told, *(f"to note: {note}" for note in verdict.notes)]
        title, lead = f"Verdict: {verdict.outcome}", judged.summary(verdict)
        yield Section(key="verdict", title=title, lead=lead, tables=judged.checks(verdict), notes=notes)
    elif run.faults:
        yield Section(key="verdict", title="INVALID run", notes=[*faults, *told])
    elif told:
        yield Section(key="verdict", title="Not judged: no objectives were given", notes=told)
    if baseline:
        yield _comparison(run, baseline)


def _comparison(run: Run, baseline: Run) -> Section:
    changes = compare(run, baseline)
    warnings = [f"another environment, {difference}" for difference in differences(run, baseline)]
    return Section(
        key="comparison",
        title=f"Against the baseline {baseline.name}: {_counted(changes)}",
        lead=RULE,
        tables=judged.beyond_noise(changes),
        pairs=judged.side_by_side(run, baseline, changes),
        notes=[*warnings, *judged.not_comparable(changes)],
    )


def _counted(changes: Sequence[Change]) -> str:
    verdicts = [change.verdict for change in changes]
    words = ("worse", "better", "within noise", "not comparable")
    return ", ".join(f"{verdicts.count(word)} {word}" for word in words if word in verdicts) or "nothing to compare"


def _measured(run: Run) -> Iterator[Section]:
    if run.closed or run.capacities:
        yield Section(key="headline", title="In short", tables=[measured.headline(run)])
    if run.closed:
        yield Section(key="closed", title="Workers × queries", lead=_CLOSED, tables=measured.closed(run))
        yield Section(
            key="throughput",
            title="Latency against throughput",
            caption="Small figures: workers. To the right and down is better; where a line goes straight up, more "
            "workers only wait longer.",
        )
        yield Section(key="distributions", title="Latency distributions", caption=_DISTRIBUTION)
        yield Section(
            key="stages",
            title="Where the time goes",
            caption="Mean of a request, as the server counts it. What the client measures beyond that is transport and "
            "parsing.",
        )
    yield from _open(run)
    yield from _details(run)


def _open(run: Run) -> Iterator[Section]:
    tables = [
        *measured.capacities(run),
        *measured.open_loops("Fixed rates", run.open),
        *measured.open_loops("Rates that the search tried", measured.probes_of(run)),
    ]
    if tables:
        yield Section(
            key="knee",
            title="Open loop and capacity",
            lead=_OPEN,
            tables=tables,
            caption="Hollow: INVALID. Dashed across: the objectives.",
        )


def _details(run: Run) -> Iterator[Section]:
    if run.moments or run.gaps or run.lost:
        yield Section(
            key="resources",
            title="The run over time",
            tables=measured.gaps(run),
            caption="Shaded in turns: what was being measured. Red, over all of a panel: the server did not tell its "
            "metrics; at its foot: nor its health. Upright: the server was lost.",
        )
    details = (
        Section(key="errors", title="Errors", tables=measured.errors(run)),
        Section(
            key="scenarios",
            title="By scenario",
            lead="p50 and p99 by the number of workers.",
            tables=measured.by_part(run, lambda cell: cell.scenarios, "scenario"),
        ),
        Section(
            key="kinds",
            title="By kind of query",
            lead="p50 and p99 by the number of workers.",
            tables=measured.by_part(run, lambda cell: cell.kinds, "kind"),
        ),
        Section(
            key="shapes",
            title="Loads that change",
            tables=measured.shapes(run),
            caption="A gap: no right answer in that second.",
        ),
        Section(
            key="null",
            title="The generator’s own limits: not the server’s",
            lead="The same generators against a backend that answers at once. What they take and cannot exceed here, "
            "no figure above can be better than.",
            tables=measured.null_backend(run),
        ),
    )
    yield from (section for section in details if not section.empty)


def _environment(run: Run, baseline: Run | None) -> Section:
    return Section(key="environment", title="Environment", tables=[measured.environment(run, baseline)])
