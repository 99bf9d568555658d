"""A dashboard drawn by Grafana's own components in a browser, from its JSON and the answers of a Prometheus.

What lives here: the browser, what is asked for each panel, what can be read off a drawn one. What does not: the drawing
itself (`tests/deploy/drawing/`, which `make setup-panels` bundles), and what must be seen (`tests/deploy/`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Page

from tests.testkit.browser import CHROMIUM, launched

_FOLDER: Final = Path(sys.prefix) / "panels"
_CELL: Final = (60, 36)
"""Pixels of a cell of Grafana's grid, in a window of usual width."""
_COLUMNS: Final = 24
NOT_DRAWN: Final = "heatmap"
"""Its component is in Grafana's server, and in no package."""

needs_grafanas_components: Final = pytest.mark.skipif(
    CHROMIUM is None or not (_FOLDER / "panels.js").is_file(),
    reason="Grafana's components or Chromium are not there: make setup-panels; apt-get install chromium",
)


@dataclass(frozen=True)
class Drawn:
    """What is to be seen of one panel."""

    text: str
    legend: Sequence[str]
    """The names of the lines, each with its last value where that is shown."""
    ink: int
    """Pixels of the graph that have a colour; axes and grid are grey."""
    cut_off: Sequence[str]
    """Texts that stand beyond what contains them."""


class Drawing:
    """The page that panels are drawn on."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.complaints: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.goto((_FOLDER / "page.html").as_uri())

    def draw(self, panel: Mapping[str, Any], answers: Sequence[Any], *, start: float, end: float, step: float) -> None:
        """Draw `panel` with what Prometheus answered to each of its targets."""
        how = {"cell": _CELL, "range": [start, end], "step": step}
        self._page.evaluate("([panel, answers, how]) => draw(panel, answers, how)", [dict(panel), list(answers), how])

    def finish(self, picture: Path) -> None:
        """Wait until all that was begun is drawn, and take a picture of it."""
        self._page.evaluate(_UNTIL_STILL)
        self._page.screenshot(path=picture, full_page=True)

    def look_at(self, panel: Mapping[str, Any]) -> Drawn:
        """What is to be seen of a drawn panel."""
        return Drawn(**self._page.evaluate(_LOOK, f"panel-{panel['id']}"))


@contextmanager
def drawing() -> Iterator[Drawing]:
    """A page to draw on."""
    with launched() as browser:
        yield Drawing(browser.new_page(viewport={"width": _COLUMNS * _CELL[0], "height": 900}))


_UNTIL_STILL: Final = """() => new Promise((done) => {
  let [last, same] = ["", 0];
  const look = () => {
    const now = document.body.innerHTML;
    same = now === last ? same + 1 : 0;
    last = now;
    if (same === 5) done(); else requestAnimationFrame(look);
  };
  look();
})"""

_LOOK: Final = """(id) => {
  const panel = document.getElementById(id);
  const inside = (inner, outer) => inner.right <= outer.right + 1 && inner.bottom <= outer.bottom + 1;
  const canvas = panel.querySelector(".uplot canvas");
  let ink = 0;
  if (canvas) {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    for (let i = 0; i < data.length; i += 4) {
      const [low, high] = [Math.min(data[i], data[i + 1], data[i + 2]), Math.max(data[i], data[i + 1], data[i + 2])];
      ink += data[i + 3] > 100 && high - low > 60;
    }
  }
  const textOf = (item) => {
    const range = document.createRange();
    range.selectNodeContents(item);
    return range.getBoundingClientRect();
  };
  const isCut = (item) => {
    const text = textOf(item);
    for (let outer = item; outer !== panel.parentElement; outer = outer.parentElement) {
      const clips = [panel, item].includes(outer) || getComputedStyle(outer).overflowY !== "visible";
      if (clips && !inside(text, outer.getBoundingClientRect())) return true;
    }
    return false;
  };
  return {
    text: panel.innerText,
    legend: [...panel.querySelectorAll("[data-testid^='data-testid VizLegend series']")].map((item) => item.innerText),
    ink,
    cut_off: [...panel.querySelectorAll("li, h2, [role=columnheader] > *, [role=cell]")]
      .filter((item) => item.innerText && isCut(item))
      .map((item) => item.innerText),
  };
}"""
