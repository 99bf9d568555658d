"""The report of the comparison with Triton, as Markdown. Pure."""

from collections.abc import Mapping, Sequence

from benchmarks import figures as f
from benchmarks.figures import Figure, Window
from topfive_loadgen import tables

EMBEDDED, ON_TRITON, ALONE = "embedded", "on Triton", "Triton alone"
LATENCIES = ("p50", "p99")
NOTE = (
    "This Triton runs its onnxruntime backend in Python, because its wheel comes without the one in C++: the figures "
    "of Triton, and of the service on it, say nothing of the C++ backend. Each of its instances has {threads}; the "
    "service by itself uses all cores for a lone request. Medians over the rounds. Times in ms: latencies as the "
    "client sees them, CPU (user and system) per image of all that serves it, Triton included. Mean batch: the "
    "classifier's, as whoever runs it counts. CPU of others: cores used meanwhile by what is neither measured nor the"
    " client; not 0 where the machine was shared."
)


def scenario(name: str, server: str) -> str:
    """The name of a window of this input to this server."""
    return f"{name}, {server}"


def line(window: Window) -> str:
    """One window as a line of progress."""
    values = "  ".join(f"{name} {tables.number(window.values[name]):6}" for name in (f.IMAGES, *LATENCIES, f.CPU))
    return f"round {window.round + 1}  {window.scenario:22} {window.setting:3} connections  {values}"


def markdown(windows: Sequence[Window], servers: Sequence[str], environment: Mapping[str, object]) -> str:
    """The whole result as Markdown."""
    measured = f.figures(windows)
    header = (f.IMAGES, *LATENCIES, f.CPU, f.BATCH, f.BYSTANDER)
    lines: list[Sequence[str]] = [("input", "connections", "server", "÷ embedded", *header)]
    inputs = dict.fromkeys(window.scenario.partition(",")[0] for window in windows)
    for name in inputs:
        for connections in sorted({window.setting for window in windows if isinstance(window.setting, int)}):
            base = measured[Figure(f.IMAGES, scenario(name, EMBEDDED), connections)]
            for server in servers:
                values = [measured.get(Figure(one, scenario(name, server), connections)) for one in header]
                ratio = measured[Figure(f.IMAGES, scenario(name, server), connections)] / base
                lines.append((name, str(connections), server, *map(tables.number, (ratio, *values))))
    return "\n\n".join(
        [
            "## The service, the service on Triton, and Triton",
            ", ".join(f"{key} {value}" for key, value in environment.items() if not isinstance(value, dict)),
            tables.markdown(tables.of(lines)),
            note(environment),
        ]
    )


def note(environment: Mapping[str, object]) -> str:
    """A note on what is special about this Triton."""
    return NOTE.format(threads=_threads(environment["triton_threads"]))


def _threads(count: object) -> str:
    if count == 1:
        return "one thread"
    return f"{count} threads" if count else "a thread for each core"
