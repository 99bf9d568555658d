"""How fast several ways to the same answer are beside each other, in one process: a ratio from every round.

As `topfive_pipeline.judging.speed` does it for served models: what else the machine does changes within seconds, so
only runs of the same round are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

Run = Callable[[], object]
Spread = tuple[float, float, float]
"""The median, and between which two the middle half lies."""
SLICE_SECONDS: Final = 0.1
"""How long each takes in a round, at least."""


def ratios(runs: Mapping[str, Run], *, rounds: int, slice_seconds: float = SLICE_SECONDS) -> dict[str, Spread]:
    """How many times as fast as the first of `runs` each of them is: of the ratios of all `rounds`.

    Each runs in every round, as often as fills `slice_seconds`; who is first changes from round to round.
    """
    if not runs or rounds < 1:
        raise ValueError(f"{len(runs)} runs in {rounds} rounds: there is nothing to compare")
    ways = list(runs.values())
    for run in ways:
        run()  # what is run first is slower, and does not count
    repeats = [max(1, round(slice_seconds / _seconds(run, 1))) for run in ways]
    measured = np.empty((len(ways), rounds))
    for number in range(rounds):
        for place in np.roll(np.arange(len(ways)), number).tolist():
            measured[place, number] = _seconds(ways[place], repeats[place])
    quantiles = np.quantile(measured[0] / measured, (0.5, 0.25, 0.75), axis=1).T
    return {name: (float(row[0]), float(row[1]), float(row[2])) for name, row in zip(runs, quantiles, strict=True)}


def said(spread: Spread) -> str:
    """A ratio as tables show it."""
    return f"{spread[0]:.2f} [{spread[1]:.2f}, {spread[2]:.2f}]"


def table(head: Sequence[str], lines: Sequence[Sequence[str]], file: Path) -> str:
    """Write `lines` as a table in Markdown to `file`, and return it."""
    rows = [head, ["---"] * len(head), *lines]
    text = "".join(f"| {' | '.join(row)} |\n" for row in rows)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return text


def _seconds(run: Run, times: int) -> float:
    """What one of so many runs takes."""
    started = time.perf_counter()
    for _ in range(times):
        run()
    return (time.perf_counter() - started) / times
