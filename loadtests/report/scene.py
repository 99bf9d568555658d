"""What a plot is drawn of, and the page that it is drawn for: wide, or as narrow as a phone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from loadtests.results import Run
from loadtests.slo import Objectives
from topfive_loadgen.drawing import WIDTH, canvas

NARROW: Final = 4.1
"""Inches. At a phone's width, 390 px with the page's margins, letters are then as large as the page's small print."""
_COLUMNS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A run, what it is compared with, and its objectives; `is_narrow`: panels below each other."""

    run: Run
    baseline: Run | None = None
    objectives: Objectives | None = None
    is_narrow: bool = False

    def canvas(self, height: float) -> Canvas:
        """An empty figure, as wide as the page."""
        return canvas(height, width=NARROW if self.is_narrow else WIDTH)

    def panels(self, count: int, *, height: float) -> tuple[Canvas, list[Axes]]:
        """A figure with panels side by side, or below each other; `height`: of one panel, inches."""
        if self.is_narrow:
            drawn = self.canvas(count * height * 0.8)
            return drawn, list(drawn.subplots(count, 1, squeeze=False)[:, 0])
        drawn = self.canvas(height)
        return drawn, list(drawn.subplots(1, count, squeeze=False)[0])

    def columns(self, wide: int) -> int:
        """How many columns a legend may have."""
        return min(wide, _COLUMNS) if self.is_narrow else wide
