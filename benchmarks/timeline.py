"""Draws pictures over time: the latency of every answer, the memory of a process."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks import samples
from benchmarks.samples import Held
from topfive_loadgen.drawing import FAINT, INK, STYLE, milliseconds

ACCEPTED, REFUSED, EXPIRED, FAILED = "accepted (200)", "refused (429, 503)", "too late (504)", "any other"
COLOURS = {ACCEPTED: "#0b7285", REFUSED: "#e8590c", EXPIRED: "#5f3dc4", FAILED: "#c92a2a"}
MEMORY, MEDIAN, TAIL = "#0b7285", "#0b7285", "#e8590c"
KINDS = {200: ACCEPTED, 429: REFUSED, 503: REFUSED, 504: EXPIRED}


def draw_latencies(
    phases: Mapping[str, Sequence[tuple[float, float, int]]],
    path: Path,
    *,
    away: Mapping[str, Sequence[tuple[float, float]]] | None = None,
) -> None:
    """Draw every answer of each phase, given as (when it was due, latency, status); shade: what was away."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(max(8.0, 3.6 * len(phases) + 1), 4.4), layout="constrained")
        all_axes = canvas.subplots(1, len(phases), sharey=True, squeeze=False)[0]
        for axes, (name, answers) in zip(all_axes, phases.items(), strict=True):
            axes.set_title(name)
            axes.set_yscale("log")
            milliseconds(axes.yaxis)
            axes.set_xlabel("due at, s")
            for span in (away or {}).get(name, ()):
                axes.axvspan(*span, color=FAINT, linewidth=0)
            for kind, colour in COLOURS.items():
                dots = [(due, took * 1e3) for due, took, status in answers if KINDS.get(status, FAILED) == kind]
                axes.plot(*(zip(*dots, strict=True) if dots else ([], [])), ".", color=colour, label=kind, alpha=0.5)
                for line in axes.lines:
                    line.set_markersize(3)
        all_axes[0].set_ylabel("latency from the scheduled time, ms")
        canvas.legend(
            *all_axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, markerscale=4
        )
        canvas.savefig(path, dpi=150)


def draw_soak(taken: Sequence[Held], latencies: Sequence[tuple[float, float, float]], path: Path) -> None:
    """Draw resident memory with its slope over the last two thirds, and below it the latency (time, p50, p99 in ms)."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(9, 5.4), layout="constrained")
        memory, latency = canvas.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        memory.set_title("Resident memory, MB")
        memory.plot([one.at / 60 for one in taken], [one.resident_bytes / 1e6 for one in taken], color=MEMORY)
        last = samples.last_two_thirds(taken)
        slope, level = samples.trend(last)
        ends = (last[0].at / 60, last[-1].at / 60)
        label = f"{slope / 1e6:+.2f} MB a minute over the last two thirds"
        memory.plot(ends, [(level + slope * end) / 1e6 for end in ends], "--", color=INK, linewidth=1.5, label=label)
        memory.set_ylim(0, 1.15 * max(one.resident_bytes for one in taken) / 1e6)
        memory.legend(frameon=False, loc="lower right")
        latency.set_title("Latency from the scheduled time, ms")
        times = [time / 60 for time, *_ in latencies]
        latency.plot(times, [p50 for _, p50, _ in latencies], color=MEDIAN, label="p50")
        latency.plot(times, [p99 for *_, p99 in latencies], color=TAIL, label="p99")
        latency.set_yscale("log")
        latency.set_xlabel("minutes")
        latency.legend(frameon=False, loc="upper right", ncols=2)
        canvas.savefig(path, dpi=150)
