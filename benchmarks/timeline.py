"""Pictures over time: the latency of every answer, the memory of a process."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from benchmarks.plot import STYLE

ACCEPTED, REFUSED, EXPIRED, FAILED = "accepted (200)", "refused (429, 503)", "too late (504)", "any other"
COLOURS = {ACCEPTED: "#0b7285", REFUSED: "#e8590c", EXPIRED: "#5f3dc4", FAILED: "#c92a2a"}
KINDS = {200: ACCEPTED, 429: REFUSED, 503: REFUSED, 504: EXPIRED}


def draw_latencies(phases: Mapping[str, Sequence[tuple[float, float, int]]], path: Path) -> None:
    """For each phase, every answer: when it was due, how long it took, what it was."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(3.6 * len(phases) + 1, 4.4), layout="constrained")
        all_axes = canvas.subplots(1, len(phases), sharey=True, squeeze=False)[0]
        for axes, (name, answers) in zip(all_axes, phases.items(), strict=True):
            axes.set_title(name)
            axes.set_yscale("log")
            axes.set_xlabel("due at, s")
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
