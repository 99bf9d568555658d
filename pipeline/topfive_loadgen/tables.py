"""Tables of reports: columns, the format of figures, and their form as Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from topfive_loadgen.percentiles import Latencies, standing

NOTHING: Final = "–"
MB: Final = 1e-6
MS: Final = 1e3
_SPECIAL: Final = re.compile(r"([\\`*\[\]|])")

Kind = Literal["text", "number", "verdict"]


@dataclass(frozen=True, slots=True)
class Column:
    """A heading and the cells below it. Numbers are aligned right, all with the same decimals."""

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
        """The cells, row by row."""
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
    """A figure with `places` decimals and a true minus sign."""
    return f"{value:.{places}f}".replace("-", "−")


def _places(values: Iterable[float | None]) -> int:
    sizes = [abs(value) for value in values if value]
    if not sizes or min(sizes) >= 100:
        return 0
    return 1 if min(sizes) >= 10 else 2


def one(value: float | None, *, scale: float = 1.0) -> str:
    """A single figure as text."""
    return numbers("", [value], scale=scale).cells[0]


def percent(ratio: float) -> str:
    """A ratio as a percentage, with enough digits for small ratios such as those of errors."""
    return f"{100 * ratio:.2f} %"


def latency_columns(measured: Sequence[Latencies | None]) -> list[Column]:
    """The columns from mean to maximum, in ms."""
    return [
        numbers("mean, ms", [each.mean if each else None for each in measured], scale=MS),
        numbers("p50, ms", [each.p50 if each else None for each in measured], scale=MS),
        numbers("p90, ms", [each.p90 if each else None for each in measured], scale=MS),
        numbers("p99, ms", [each.p99 if each else None for each in measured], scale=MS),
        numbers("max, ms", [each.max if each else None for each in measured], scale=MS),
    ]


def errors_told(errors: Mapping[str, int], ratio: float) -> str:
    """The number of errors of each kind, and their share of all answers."""
    return f"{sum(errors.values())} ({percent(ratio)})" if errors else "0"


def few_samples(latency: Latencies | None) -> str:
    """A note if there are too few samples for a p99."""
    if latency is None:
        return "no right answer"
    worth = standing(latency.count, 99)
    if worth == "trusted":
        return ""
    return f"p99 of {latency.count} samples" + (": too few for any" if worth == "not measured" else "")


def of(lines: Sequence[Sequence[str]]) -> Table:
    """A table of lines of cells; the first line is the header, and all are aligned right."""
    return Table("", [Column(title, cells) for title, *cells in zip(*lines, strict=True)])


def number(value: float | None) -> str:
    """A figure with about three digits; a dash if it was not measured."""
    if value is None or math.isnan(value):
        return NOTHING
    return f"{value:.1f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.3f}"


def markdown(table: Table) -> str:
    """The table as Markdown."""
    columns = [_padded(column) for column in table.columns]
    rule = [_rule(cells, column) for cells, column in zip(columns, table.columns, strict=True)]
    head, *rows = zip(*columns, strict=True)
    title = [f"### {escaped(table.title)}", ""] if table.title else []
    return "\n".join([*title, *(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows))])


def escaped(text: str) -> str:
    """The text on one line, with Markdown's characters escaped."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\1", plain)


def _padded(column: Column) -> list[str]:
    """The column's cells, padded to the widest."""
    cells = [escaped(cell) for cell in (column.title, *column.cells)]
    width = max(3, *map(len, cells))
    return [cell.rjust(width) if column.kind == "number" else cell.ljust(width) for cell in cells]


def _rule(cells: Sequence[str], column: Column) -> str:
    width = len(cells[0])
    return "-" * (width - 1) + ":" if column.kind == "number" else "-" * width
