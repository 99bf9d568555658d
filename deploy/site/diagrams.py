"""The diagrams of docs/architecture.md as SVG: boxes on a grid, and arrows between them.

They are pictures, and not text that a browser draws, because what draws such text comes from another host. Their
colours can be seen on a light page and on a dark one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_BOX: Final = (150, 50)
"""Width and height of a box."""
_STEP: Final = (240, 108)
"""From one column to the next, and from one row to the next."""
_MARGIN: Final = 8
_LINE: Final = 16
"""From one line of text to the next."""
_STYLE: Final = """\
text { font: 13px system-ui, sans-serif; text-anchor: middle; fill: #1f2a44 }
text.note { font-size: 12px; fill: #7482a8 }
rect { fill: #eef1fb; stroke: #5c6bc0; stroke-width: 1.5 }
rect.end { fill: #fbeeee; stroke: #c06a5c }
path { fill: none; stroke: #7482a8; stroke-width: 1.5; marker-end: url(#tip) }
path.else { stroke-dasharray: 5 4 }
marker path { fill: #7482a8; stroke: none; marker-end: none }"""
_TIP: Final = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0L8 4L0 8z"/></marker>'
)


@dataclass(frozen=True)
class Box:
    """A box at a column and a row; `end`: drawn as one that nobody wants to come to; `under`: a note below it."""

    column: float
    row: float
    text: str
    end: bool = False
    under: str = ""

    @property
    def middle(self) -> tuple[float, float]:
        """Its middle, in pixels."""
        (width, height), (across, down) = _BOX, _STEP
        return _MARGIN + width / 2 + self.column * across, _MARGIN + height / 2 + self.row * down


@dataclass(frozen=True)
class Arrow:
    """From one box to another. `aside`: pixels to the left of its way, for one of two that go to and fro."""

    start: str
    to: str
    note: str = ""
    otherwise: bool = False
    aside: float = 0


def drawn(title: str, boxes: Mapping[str, Box], arrows: Sequence[Arrow]) -> str:
    """The picture."""
    (width, height), (across, down) = _BOX, _STEP
    whole = 2 * _MARGIN + width + across * max(box.column for box in boxes.values())
    high = 2 * _MARGIN + height + down * max(box.row for box in boxes.values())
    high += _LINE if any(box.under for box in boxes.values()) else 0
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole:g} {high:g}" width="{whole:g}" role="img">',
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}\n</style>\n<defs>{_TIP}</defs>",
    ]
    parts += [_arrow(arrow, boxes[arrow.start], boxes[arrow.to]) for arrow in arrows]
    parts += [_box(box) for box in boxes.values()]
    return "\n".join([*parts, "</svg>", ""])


def _box(box: Box) -> str:
    (x, y), (width, height) = box.middle, _BOX
    kind = ' class="end"' if box.end else ""
    place = f'x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width}" height="{height}"'
    under = _text(x, y + height / 2 + 12, box.under, note=True)
    return f'<rect{kind} {place} rx="7"/>\n{_text(x, y, box.text)}{under}'


def _arrow(arrow: Arrow, start: Box, to: Box) -> str:
    (x1, y1), (x2, y2) = start.middle, to.middle
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    right, below = (x2 - x1) / length, (y2 - y1) / length
    x1, x2 = x1 + below * arrow.aside, x2 + below * arrow.aside
    y1, y2 = y1 - right * arrow.aside, y2 - right * arrow.aside
    # From border to border: as far from each middle as the border is on this way.
    out = min(distance / abs(part) for distance, part in ((_BOX[0] / 2, right), (_BOX[1] / 2, below)) if part)
    x1, y1, x2, y2 = x1 + right * out, y1 + below * out, x2 - right * (out + 2), y2 - below * (out + 2)
    kind = ' class="else"' if arrow.otherwise else ""
    line = f'<path{kind} d="M{x1:.0f} {y1:.0f}L{x2:.0f} {y2:.0f}"/>'
    x, y, lines = (x1 + x2) / 2, (y1 + y2) / 2, arrow.note.count("\n")
    if abs(below) < 0.1:
        return f"{line}\n{_text(x, y - 11 - lines * _LINE / 2, arrow.note, note=True)}"
    side = -1 if below * arrow.aside < 0 else 1
    slant = 16 if abs(right) > 0.1 else 0  # the note of a slanted arrow is beside it, and a little above
    x += side * (8 + slant + 3.1 * _longest(arrow.note))
    return f"{line}\n{_text(x, y - slant / 2, arrow.note, note=True)}"


def _text(x: float, y: float, text: str, *, note: bool = False) -> str:
    """Lines of text around a middle."""
    lines = text.split("\n") if text else []
    kind = ' class="note"' if note else ""
    top = y + 4.5 - (len(lines) - 1) * _LINE / 2
    return "".join(
        f'<text{kind} x="{x:.0f}" y="{top + place * _LINE:.1f}">{escape(line)}</text>'
        for place, line in enumerate(lines)
    )


def _longest(text: str) -> int:
    return max(map(len, text.split("\n")))
