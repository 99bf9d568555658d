"""The tables of a run's measurements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from loadtests.comparison import capacity_subject, closed_subject, flat, open_subject
from loadtests.report import box
from loadtests.results import MIXES, Capacity, Cell, Mix, OpenRun, Run, Server, ShapeRun
from topfive_loadgen.percentiles import Latencies
from topfive_loadgen.tables import (
    MB,
    MS,
    NOTHING,
    Column,
    Table,
    errors_told,
    few_samples,
    latency_columns,
    numbers,
    one,
    percent,
    texts,
)

HEADLINE_WORKERS = 8


def cells_of(run: Run, mix: Mix) -> list[Cell]:
    """The closed loops on a mix, by workers."""
    return sorted((cell for cell in run.closed if cell.mix == mix), key=lambda cell: cell.workers)


def probes_of(run: Run) -> list[OpenRun]:
    """All probes of the searches for a capacity, by rate."""
    probes = [probe for capacity in run.capacities for probe in capacity.probes]
    return sorted(probes, key=lambda probe: (probe.mix, probe.rate))


def workers_in_words(count: int) -> str:
    """The number of workers in words, such as "1 worker"."""
    return "1 worker" if count == 1 else f"{count} workers"


def headline(run: Run) -> Table:
    """The most important figures."""
    lines = [*_peaks(run), *_tails(run), *(_capacity_line(capacity) for capacity in run.capacities)]
    return Table("", [texts(title, [line[at] for line in lines]) for at, title in enumerate(("", "seen", "where"))])


def _peaks(run: Run) -> Iterator[tuple[str, str, str]]:
    for mix in MIXES:
        settled = [cell for cell in cells_of(run, mix) if cell.settled]
        if settled:
            best = max(settled, key=lambda cell: cell.throughput)
            errors = f"; {percent(best.error_ratio)} errors" if best.errors else ""
            where = workers_in_words(best.workers) + errors
            yield f"peak throughput, {mix}", f"{one(best.throughput)} images/s", where


def _tails(run: Run) -> Iterator[tuple[str, str, str]]:
    for cell in run.closed:
        if cell.workers == HEADLINE_WORKERS and cell.latency:
            doubt = "; ".join(filter(None, (few_samples(cell.latency), "" if cell.settled else "not settled")))
            yield (
                f"p99, {cell.mix}",
                f"{one(cell.latency.p99, scale=MS)} ms",
                workers_in_words(cell.workers) + (f"; {doubt}" if doubt else ""),
            )


def _capacity_line(capacity: Capacity) -> tuple[str, str, str]:
    where = f"p99 ≤ {capacity.p99_at_most * MS:g} ms, {capacity.mix}"
    rate = "none" if capacity.rate is None else f"{one(capacity.rate)} images/s"
    return "capacity", rate if capacity.valid else f"{rate}, INVALID", where


def closed(run: Run) -> list[Table]:
    """The table of workers × mixes."""
    return [_closed(mix, cells) for mix in MIXES if (cells := cells_of(run, mix))]


def _closed(mix: str, cells: Sequence[Cell]) -> Table:
    servers = [cell.server or Server() for cell in cells]
    return Table(
        f"{mix} queries",
        [
            numbers("workers", [cell.workers for cell in cells], decimals=0),
            numbers("images/s", [cell.throughput for cell in cells]),
            *latency_columns([cell.latency for cell in cells]),
            Column("errors", [errors_told(cell.errors, cell.error_ratio) for cell in cells]),
            numbers("server CPU, cores", [server.cpu_cores for server in servers], decimals=2),
            numbers("RSS, MB", [server.resident_bytes for server in servers], scale=MB),
            numbers("mean batch", [server.mean_batch for server in servers], decimals=2),
            numbers("queue, ms", [server.stages.get("queue") for server in servers], scale=MS),
            *_flags([_cell_flags(cell) for cell in cells]),
        ],
    )


def _cell_flags(cell: Cell) -> str:
    unsettled = "" if cell.settled else f"not settled in {len(cell.windows)} windows"
    if cell.cut:
        unsettled = "cut short: the server was lost"
    return "; ".join(filter(None, (unsettled, few_samples(cell.latency))))


def _flags(flags: Sequence[str]) -> list[Column]:
    return [texts("doubts", flags, "verdict")] if any(flags) else []


def by_part(run: Run, part: Callable[[Cell], Mapping[str, Latencies]], heading: str) -> list[Table]:
    """p50 and p99 of each part of the cells, with workers as columns; no table if there is only one part."""
    tables = []
    for mix in MIXES:
        cells = cells_of(run, mix)
        names = list(dict.fromkeys(name for cell in cells for name in part(cell)))
        if len(names) < 2:
            continue
        columns = [texts(f"{mix}: {heading}", names)]
        for cell in cells:
            found = [part(cell).get(name) for name in names]
            columns.append(
                numbers(f"{cell.workers}: p50, ms", [each.p50 if each else None for each in found], scale=MS)
            )
            columns.append(
                numbers(f"{cell.workers}: p99, ms", [each.p99 if each else None for each in found], scale=MS)
            )
        tables.append(Table("", columns))
    return tables


def errors(run: Run) -> list[Table]:
    """The errors, and the measurements that had them."""
    where: list[tuple[str, Mapping[str, int]]] = [
        *((closed_subject(cell), cell.errors) for cell in run.closed),
        *((open_subject(each), each.errors) for each in run.open),
        *((f"{each.shape}, {each.mix}", each.errors) for each in run.shapes),
        *((f"search for capacity, {open_subject(each)}", each.errors) for each in probes_of(run)),
    ]
    lines = [(subject, kind, count) for subject, kinds in where for kind, count in kinds.items()]
    if not lines:
        return []
    subjects, kinds, counts = zip(*lines, strict=True)
    return [
        Table("", [texts("where", subjects), texts("what", kinds), numbers("how often", counts, decimals=0)]),
    ]


def gaps(run: Run) -> list[Table]:
    """When the server did not tell its metrics or its health."""
    if not run.gaps:
        return []
    what = {"metrics": "its metrics", "health": "its health"}
    return [
        Table(
            "What the server did not tell",
            [
                texts("what", [what[gap.of] for gap in run.gaps]),
                texts("when", [box.between(gap.began, gap.ended) for gap in run.gaps]),
                numbers("seconds", [gap.ended - gap.began for gap in run.gaps], decimals=1),
                numbers("questions", [gap.count for gap in run.gaps], decimals=0),
            ],
        )
    ]


def capacities(run: Run) -> list[Table]:
    """The highest rate that meets each objective."""
    found = run.capacities
    if not found:
        return []
    rates = numbers("highest rate, /s", [each.rate for each in found])
    verdicts = [_validity(each.faults) + ("" if each.rate else "; no rate met it") for each in found]
    return [
        Table(
            "Capacity",
            [texts("objective", map(capacity_subject, found)), rates, texts("verdict", verdicts, "verdict")],
        )
    ]


def open_loops(title: str, runs: Sequence[OpenRun]) -> list[Table]:
    """Latencies at fixed rates."""
    if not runs:
        return []
    servers = [run.server or Server() for run in runs]
    columns = [
        texts("queries", [run.mix for run in runs]),
        numbers("offered, /s", [run.rate for run in runs]),
        numbers("answered, /s", [run.throughput for run in runs]),
        *latency_columns([run.latency for run in runs]),
        Column("errors", [errors_told(run.errors, run.error_ratio) for run in runs]),
        numbers("lag p99, ms", [run.lag_p99 for run in runs], scale=MS),
        numbers("generator, cores", [run.generator_cores for run in runs], decimals=2),
        numbers("server CPU, cores", [server.cpu_cores for server in servers], decimals=2),
        texts("verdict", [_open_verdict(run) for run in runs], "verdict"),
    ]
    return [Table(title, columns)]


def _open_verdict(run: OpenRun) -> str:
    return "; ".join(filter(None, (_validity(run.faults), few_samples(run.latency))))


def _validity(faults: Sequence[str]) -> str:
    return f"INVALID: {'; '.join(faults)}" if faults else "VALID"


def shapes(run: Run) -> list[Table]:
    """The runs of shapes."""
    found = run.shapes
    if not found:
        return []
    counts = [sum(shape.errors.values()) for shape in found]
    return [
        Table(
            "",
            [
                texts("shape", [f"{shape.shape}, {shape.mix}" for shape in found]),
                numbers("seconds", [len(shape.points) for shape in found], decimals=0),
                numbers(
                    "most workers", [max((p.users for p in shape.points), default=0) for shape in found], decimals=0
                ),
                *latency_columns([shape.latency for shape in found]),
                numbers("errors", counts, decimals=0),
            ],
        )
    ]


def _most_users(shape: ShapeRun) -> int:
    return max((point.users for point in shape.points), default=0)


def null_backend(run: Run) -> list[Table]:
    """The generators' own limits."""
    if run.null is None:
        return []
    cells = sorted(run.null.closed, key=lambda cell: cell.workers)
    tables = []
    if cells:
        columns = [
            numbers("workers", [cell.workers for cell in cells], decimals=0),
            numbers("answers/s", [cell.throughput for cell in cells]),
            *latency_columns([cell.latency for cell in cells]),
            numbers("generator, cores", [cell.generator_cores for cell in cells], decimals=2),
        ]
        tables.append(Table("Closed loop", columns))
    return tables + open_loops("Open loop: floor and ceiling", [x for x in (run.null.floor, run.null.ceiling) if x])


def environment(run: Run, baseline: Run | None) -> Table:
    """The environment of the run; with a baseline, both side by side."""
    now = _facts(run)
    then = _facts(baseline) if baseline else {}
    names = [*now, *(name for name in then if name not in now)]
    columns = [texts("", names)]
    if baseline:
        columns.append(texts(f"baseline: {baseline.name}", [then.get(name, NOTHING) for name in names]))
    columns.append(texts(f"this run: {run.name}" if baseline else run.name, [now.get(name, NOTHING) for name in names]))
    return Table("", columns)


def _facts(run: Run) -> dict[str, str]:
    return {"target": run.url, "began": run.began, "took": f"{run.seconds:.0f} s", **flat(run.environment)}
