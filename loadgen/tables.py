"""A table as both kinds of report show it, and how its figures are written.

What does not live here: which tables there are (`measured`, `judged`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from loadgen.percentiles import Latencies, standing

NOTHING: Final = "–"
MB: Final = 1e-6
MS: Final = 1e3

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
