"""Draws the results of `plan`: predicted latencies as lines, measured ones as marks with the range of the rounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import matplotlib as mpl
from matplotlib.figure import Figure as Canvas

from topfive_loadgen.drawing import MARKERS, SEQUENCE, STYLE, latency_axis

Curve = Sequence[tuple[float, Mapping[str, Sequence[tuple[float, float]]]]]
"""Of each load its rate, and by percentile the seconds (predicted, measured) of each round."""


def draw(setups: Mapping[str, Curve], path: Path) -> None:
    """Write the picture to `path`, in the format given by its suffix."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(10, 3.8), layout="constrained")
        for axes, (setup, curve) in zip(canvas.subplots(1, len(setups), sharey=True), setups.items(), strict=True):
            axes.set_title(setup)
            axes.set_xlabel("images a second")
            rates = [rate for rate, _ in curve]
            for percent, colour, marker in zip(curve[0][1], SEQUENCE, MARKERS, strict=False):
                rounds = [seconds[percent] for _, seconds in curve]
                predicted = [median(one for one, _ in each) * 1e3 for each in rounds]
                measured = [sorted(one * 1e3 for _, one in each) for each in rounds]
                middle = [median(each) for each in measured]
                spread = [
                    [here - each[0] for here, each in zip(middle, measured, strict=True)],
                    [each[-1] - here for here, each in zip(middle, measured, strict=True)],
                ]
                axes.plot(rates, predicted, color=colour, label=f"p{percent}, predicted")
                axes.errorbar(
                    rates,
                    middle,
                    yerr=spread,
                    color=colour,
                    marker=marker,
                    linestyle="",
                    capsize=3,
                    label=f"p{percent}, measured",
                )
            axes.set_xlim(left=0)
            latency_axis(
                axes, [one * 1e3 for _, seconds in curve for each in seconds.values() for both in each for one in both]
            )
        canvas.axes[0].legend()
        canvas.savefig(path, dpi=150)
