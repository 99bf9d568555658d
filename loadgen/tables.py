"""A table as every report shows it, how its figures are written, and how it reads as Markdown.

What does not live here: which tables there are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadgen.percentiles import Latencies, standing

NOTHING: Final = "–"
MB: Final = 1e-6
MS: Final = 1e3
_SPECIAL: Final = re.compile(r"([\\`*\[\]|])")

Kind = Literal["text", "number", "verdict"]


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and what is below it. Numbers are set right, with the same decimals all the way down."""

    title: str
    cells: Sequence[str]
    kind: Kind = "number"


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of the same length."""

    title: str
    columns: Sequence[Column]

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """What stands side by side."""
        return list(zip(*(column.cells for column in self.columns), strict=True))


def numbers(title: str, values: Iterable[float | None], *, scale: float = 1.0, decimals: int | None = None) -> Column:
    """A column of figures: three digits of the smallest, but never more than two decimals."""
    scaled = [None if value is None else value * scale for value in values]
    places = _places(scaled) if decimals is None else decimals
    return Column(title, [NOTHING if value is None else written(value, places) for value in scaled])


def texts(title: str, values: Iterable[str], kind: Kind = "text") -> Column:
    """A column of words."""
    return Column(title, list(values), kind)


def written(value: float, places: int) -> str:
    """A figure with so many decimals and a true minus sign."""
    return f"{value:.{places}f}".replace("-", "−")


def _places(values: Iterable[float | None]) -> int:
    sizes = [abs(value) for value in values if value]
    if not sizes or min(sizes) >= 100:
        return 0
    return 1 if min(sizes) >= 10 else 2


def one(value: float | None, *, scale: float = 1.0) -> str:
    """A figure that stands alone."""
    return numbers("", [value], scale=scale).cells[0]


def percent(ratio: float) -> str:
    """Of a share, as small as those of errors are."""
    return f"{100 * ratio:.2f} %"


def latency_columns(measured: Sequence[Latencies | None]) -> list[Column]:
    """Mean to maximum, in ms."""
    return [
        numbers("mean, ms", [each.mean if each else None for each in measured], scale=MS),
        numbers("p50, ms", [each.p50 if each else None for each in measured], scale=MS),
        numbers("p90, ms", [each.p90 if each else None for each in measured], scale=MS),
        numbers("p99, ms", [each.p99 if each else None for each in measured], scale=MS),
        numbers("max, ms", [each.max if each else None for each in measured], scale=MS),
    ]


def errors_told(errors: Mapping[str, int], ratio: float) -> str:
    """How many, and of all answers."""
    return f"{sum(errors.values())} ({percent(ratio)})" if errors else "0"


def few_samples(latency: Latencies | None) -> str:
    """The doubt about a p99, if there is one."""
    if latency is None:
        return "no right answer"
    worth = standing(latency.count, 99)
    if worth == "trusted":
        return ""
    return f"p99 of {latency.count} samples" + (": too few for any" if worth == "not measured" else "")


def of(lines: Sequence[Sequence[str]]) -> Table:
    """Lines of cells, the first of them the header, all set right."""
    return Table("", [Column(title, cells) for title, *cells in zip(*lines, strict=True)])


def number(value: float | None) -> str:
    """Three digits or so; a dash for what was not measured."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:.1f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.3f}"


def markdown(table: Table) -> str:
    """As text that reads as a table."""
    columns = [_padded(column) for column in table.columns]
    rule = [_rule(cells, column) for cells, column in zip(columns, table.columns, strict=True)]
    head, *rows = zip(*columns, strict=True)
    title = [f"### {escaped(table.title)}", ""] if table.title else []
    return "\n".join([*title, *(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))])


def escaped(text: str) -> str:
    """As text on one line, whatever it holds."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", plain)


def _padded(column: Column) -> list[str]:
    """As wide as the widest."""
    cells = [escaped(cell) for cell in (column.title, *column.cells)]
    width = max(3, *map(len, cells))
    return [cell.rjust(width) if column.kind == "number" else cell.ljust(width) for cell in cells]


def _rule(cells: Sequence[str], column: Column) -> str:
    width = len(cells[0])
    return "-" * (width - 1) + ":" if column.kind == "number" else "-" * width
