"""The output of every command, and the tables of commands that measure in windows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from json import dumps
from pathlib import Path

from benchmarks import figures as f
from benchmarks.figures import Config, Figure, Window
from topfive_loadgen import tables, verdict
from topfive_loadgen.verdict import Check

SERVICE = (f.IMAGES, f.THROUGHPUT, *f.PERCENTILES, f.CPU, f.EFFICIENCY, f.BATCH, *f.STAGES, f.CLIENT_CPU, f.BYSTANDER)
BARE = (f.IMAGES, f.CPU, f.STEP, f.BYSTANDER)
NOTE = (
    "Medians over the rounds. Times in ms: latencies as the client sees them, stages as the service counts them, CPU "
    "(user and system) per image. The bare limit is the configuration with the most images/s over the rounds. CPU of "
    "others: cores used meanwhile by what is neither measured nor the client; not 0 where the machine was shared."
)


def line(window: Window) -> str:
    """One window as a line of progress."""
    unit = " connections" if isinstance(window.setting, int) else ""
    head = f"round {window.round + 1}  {window.scenario:8} {window.setting or ''}{unit}"
    known = [name for name in (f.IMAGES, f.CPU, "p50", f.START, f.MEMORY) if name in window.values]
    return f"{head:42}" + "  ".join(f"{name} {tables.number(window.values[name]):6}" for name in known)


def markdown(windows: Sequence[Window], checks: Sequence[Check], environment: Mapping[str, object]) -> str:
    """The whole result as Markdown."""
    measured = f.figures(windows)
    places = list(dict.fromkeys((window.scenario, window.setting) for window in windows))
    order = list(dict.fromkeys(scenario for scenario, _ in places))
    service = [(scenario, setting) for scenario, setting in places if isinstance(setting, int)]
    service.sort(key=lambda place: (order.index(place[0]), place[1]))
    bare = [(scenario, setting) for scenario, setting in places if isinstance(setting, Config)]
    bare.sort(key=lambda place: (order.index(place[0]), -measured[Figure(f.IMAGES, *place)]))
    return "\n\n".join(
        [
            "## The service against the bare limit of its own graphs",
            ", ".join(f"{key} {value}" for key, value in environment.items() if not isinstance(value, dict)),
            _figures_table(("input", "connections", *SERVICE), service, measured=measured),
            _figures_table(("input", "bare loop", *BARE), bare, measured=measured),
            NOTE,
            tables.markdown(verdict.table(checks)),
        ]
    )


def document(windows: Sequence[Window], environment: Mapping[str, object], **more: object) -> dict[str, object]:
    """The whole result as data for JSON."""
    return {
        "environment": environment,
        "faults": f.faults(windows),
        **more,
        "figures": [{**figure._asdict(), "value": value} for figure, value in f.figures(windows).items()],
        "windows": windows,
    }


def finish(
    checks: Sequence[Check],
    faults: Sequence[str] = (),
    *,
    shown: Sequence[str],
    json: Path | None = None,
    document: Mapping[str, object] | None = None,
) -> int:
    """End a command: print the report, the checks and the verdict, write the document; return the exit code."""
    found = verdict.conclude(checks, faults)
    print(*shown, tables.markdown(verdict.table(checks)), found, sep="\n\n")
    write(json, {**(document or {}), "checks": checks, "faults": faults})
    return found.exit_code


def write(path: Path | None, document: Mapping[str, object]) -> None:
    """Write the document as JSON, if a file was named."""
    if path:
        path.write_text(dumps(document, default=asdict, ensure_ascii=False, indent=1) + "\n")


def _figures_table(
    header: Sequence[str], places: Iterable[tuple[str, f.Setting]], *, measured: Mapping[Figure, float]
) -> str:
    lines = [
        [scenario, str(setting), *(tables.number(measured.get(Figure(name, scenario, setting))) for name in header[2:])]
        for scenario, setting in places
    ]
    return tables.markdown(tables.of([header, *lines]))
