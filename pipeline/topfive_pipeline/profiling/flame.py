"""A flame graph as one element `<svg>` without scripts: the width of a box is how often its function was on the stack.

Roots are on top. A box that is wide enough holds its name; each shows name and share when pointed at (`<title>`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Final

WIDTH: Final = 960
_ROW: Final = 17
_LETTER: Final = 6.1
"""Pixels, of the font below: a little more than the mean, so that names stay in their boxes."""
_NARROWEST: Final = 1.2
"""Pixels: narrower boxes are not drawn, nor what is on them."""
_DEEPEST: Final = 45
_PLAIN: Final = ("_run_module_as_main", "_run_code", "<module>", "main ", "_run ", "Thread._bootstrap", "Thread.run")
"""Outermost frames that all stacks begin with, and that say nothing."""


@dataclass(slots=True)
class _Box:
    count: int = 0
    within: dict[str, _Box] = field(default_factory=dict)


def drawn(counts: Mapping[str, int], *, label: str) -> str:
    """The graph of these stacks; empty if there are none."""
    root = _tree(counts)
    if not root.count:
        return ""
    boxes = list(_boxes(root, root.count))
    height = _ROW * (1 + max(depth for depth, *_ in boxes))
    drawing = "".join(_drawn(*box, of=root.count) for box in boxes)
    return (
        f'<svg class="flame" role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="ui-monospace, monospace" font-size="10">{drawing}</svg>'
    )


def _tree(counts: Mapping[str, int]) -> _Box:
    root = _Box()
    for stack, count in counts.items():
        thread, *frames = stack.split(";")
        while frames and frames[0].startswith(_PLAIN):
            frames = frames[1:]
        box = root
        box.count += count
        for frame in [thread.partition("): ")[2] or thread, *frames][:_DEEPEST]:
            box = box.within.setdefault(frame, _Box())
            box.count += count
    return root


def _boxes(box: _Box, whole: int, *, depth: int = 0, left: int = 0) -> Iterator[tuple[int, int, int, str]]:
    """Depth, left end and width in counts, and name of each box that is wide enough."""
    for name, inner in sorted(box.within.items(), key=lambda item: -item[1].count):
        if inner.count * WIDTH / whole >= _NARROWEST:
            yield depth, left, inner.count, name
            yield from _boxes(inner, whole, depth=depth + 1, left=left)
        left += inner.count


def _drawn(depth: int, left: int, count: int, name: str, *, of: int) -> str:
    x, width, y = left * WIDTH / of, count * WIDTH / of, depth * _ROW
    letters = int((width - 4) / _LETTER)
    text = name if len(name) <= letters else f"{name[: letters - 1]}…" if letters > 3 else ""
    words = f'<text x="{x + 3:.1f}" y="{y + 12}">{escape(text)}</text>' if text else ""
    return (
        f'<g><title>{escape(name)}: {count / of:.1%}</title><rect class="{_tone(name)}" x="{x:.1f}" y="{y}" '
        f'width="{max(0.8, width - 0.6):.1f}" height="{_ROW - 1}" rx="2"/>{words}</g>'
    )


def _tone(name: str) -> str:
    """One of four tones of the service's own code, or one for that of others."""
    if "topfive" not in name:
        return "f-other"
    return f"f-{hashlib.sha256(name.encode()).digest()[0] % 4}"
