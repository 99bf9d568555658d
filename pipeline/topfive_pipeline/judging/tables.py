"""What a report is made of, tables in sections, and how figures are written in them: digits, signs and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from topfive_pipeline.judging.accuracy import POINTS

NOTHING: Final = "–"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows below the titles of columns; all but the first are figures."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading, what the figures mean (`lead`), tables, and remarks (`notes`); `key` names its plot, if it has one."""

    key: str
    title: str
    lead: str = ""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


def percent(share: float) -> str:
    """A share of one in percent, without the sign of it."""
    return f"{share * POINTS:.1f}"


def signed(value: float, decimals: int) -> str:
    """A difference with its sign, which is a true minus; 0 has none."""
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{decimals}f}"


def figure(value: float) -> str:
    """With three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def rounded(photos: int) -> str:
    """A number of photos with two digits: no more are known."""
    digits = max(0, len(str(photos)) - 2)
    return f"{round(photos, -digits):,}".replace(",", " ")
