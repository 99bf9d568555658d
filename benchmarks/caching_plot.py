"""Draws the results of `caching`: hit rates against the cache's size, and throughput against the exponent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import PercentFormatter

from benchmarks import zipf
from topfive_loadgen.drawing import INK, MARKERS, SEQUENCE, STYLE

_DRAWN = 1000
"""Images of which the curves are drawn, as many as were measured."""


@dataclass(frozen=True, slots=True)
class Point:
    """A measured hit rate, and the one by theory; `share`: answers that the cache holds, of all images asked for."""

    exponent: float
    share: float
    measured: float
    theory: float


def draw(points: Sequence[Point], gains: Mapping[float, float], path: Path) -> None:
    """Write the picture to `path`, in the format given by its suffix."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(10, 3.8), layout="constrained")
        left, right = canvas.subplots(1, 2, width_ratios=(3, 2))
        left.set_title("Images answered from the cache")
        left.set_xlabel("answers that the cache holds, of the images that are asked for")
        left.set_xscale("log")
        sizes = np.geomspace(0.01, 1, 60)
        for exponent, colour, marker in zip(gains, SEQUENCE, MARKERS, strict=False):
            popularity = zipf.shares(_DRAWN, exponent)
            curve = [zipf.hit_rate(popularity, share * _DRAWN) for share in sizes]
            left.plot(sizes, curve, color=colour)
            own = [each for each in points if each.exponent == exponent]
            style: dict[str, Any] = {"color": colour, "linestyle": "", "marker": marker}
            left.plot([each.share for each in own], [each.measured for each in own], label=f"s = {exponent:g}", **style)
        left.plot([], [], color=INK, label="theory")
        left.set_ylim(0, 1)
        for axis in (left.xaxis, left.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        left.legend()
        right.set_title("Images a second, with the cache / without")
        bars = right.bar([f"s = {exponent:g}" for exponent in gains], [*gains.values()], color=SEQUENCE[: len(gains)])
        right.bar_label(bars, fmt="%.2f")
        right.axhline(1, color=INK, linewidth=1)
        canvas.savefig(path, dpi=150)
