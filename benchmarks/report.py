"""The results for people, as Markdown, which is what the console shows, and for programs, as JSON."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from benchmarks import figures as f
from benchmarks.figures import Config, Figure, Verdict, Window

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
    head = f"round {window.round + 1}  {window.scenario:8}{window.setting or ''}{unit}"
    known = [name for name in (f.IMAGES, f.CPU, "p50", f.START, f.MEMORY) if name in window.values]
    return f"{head:42}" + "  ".join(f"{name} {number(window.values[name]):6}" for name in known)


def markdown(windows: Sequence[Window], verdicts: Sequence[Verdict], environment: Mapping[str, object]) -> str:
    """The whole result as one page."""
    measured = f.figures(windows)
    places = list(dict.fromkeys((window.scenario, window.setting) for window in windows))
    order = list(dict.fromkeys(scenario for scenario, _ in places))
    service = [(scenario, setting) for scenario, setting in places if isinstance(setting, int)]
    service.sort(key=lambda place: (order.index(place[0]), place[1]))
    bare = [(scenario, setting) for scenario, setting in places if isinstance(setting, Config)]
    bare.sort(key=lambda place: (order.index(place[0]), -measured[Figure(f.IMAGES, *place)]))
    judged = []
    for verdict in verdicts:
        name, scenario, setting = verdict.target.figure
        wanted = f"{verdict.target.sense} {verdict.target.limit:g} {verdict.target.unit}".rstrip()
        met = {True: "yes", False: "NO", None: "not measured"}[verdict.met]
        judged.append([name, scenario, str(setting or ""), wanted, number(verdict.measured), met])
    return "\n\n".join(
        [
            "## The service against the bare limit of its own graphs",
            ", ".join(f"{key} {value}" for key, value in environment.items() if not isinstance(value, dict)),
            _figures_table(("input", "connections", *SERVICE), service, measured=measured),
            _figures_table(("input", "bare loop", *BARE), bare, measured=measured),
            NOTE,
            table([("figure", "input", "connections", "target", "measured", "met"), *judged]),
            "; ".join([f"Verdict: {f.conclude(windows, verdicts)}", *f.faults(windows)]),
        ]
    )


def as_json(windows: Sequence[Window], verdicts: Sequence[Verdict], environment: Mapping[str, object]) -> str:
    """The whole result for programs."""
    document = {
        "environment": environment,
        "verdict": f.conclude(windows, verdicts),
        "faults": f.faults(windows),
        "targets": [{**asdict(verdict), **verdict.target.figure._asdict()} for verdict in verdicts],
        "figures": [{**figure._asdict(), "value": value} for figure, value in f.figures(windows).items()],
        "windows": windows,
    }
    return json.dumps(document, default=asdict, ensure_ascii=False, indent=1) + "\n"


def _figures_table(
    header: Sequence[str], places: Iterable[tuple[str, f.Setting]], *, measured: Mapping[Figure, float]
) -> str:
    lines = [
        [scenario, str(setting), *(number(measured.get(Figure(name, scenario, setting))) for name in header[2:])]
        for scenario, setting in places
    ]
    return table([header, *lines])


def table(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells, the first of them the header, as a Markdown table."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * (width - 1) + ":" for width in widths]
    padded = [
        [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)] for cells in (lines[0], rule, *lines[1:])
    ]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in padded)


def number(value: float | None) -> str:
    """Three digits or so; a dash for what was not measured."""
    if value is None:
        return "-"
    return f"{value:.1f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.3f}"
