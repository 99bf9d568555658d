"""`docs/decisions/README.md`: the list of decisions, from their titles."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_HEAD: Final = """\
# Decisions

A decision is recorded here if the next reader could undo it by mistake, or if it has a price: what was decided, why,
what else was tried with its figures, what it costs, and when to think again. Records are not rewritten; a later one
replaces an earlier one and says so. Made by `make docs-pages`.

"""


def decisions_page(folder: Path) -> str:
    """The page for the records in `folder`, whose names begin with their numbers."""
    rows = []
    for path in sorted(folder.glob("[0-9]*.md")):
        with path.open(encoding="utf-8") as file:
            number, _, title = file.readline().removeprefix("# ").strip().partition(". ")
        rows.append(f"{number}. [{title}]({path.name})")
    return _HEAD + "\n".join(rows) + "\n"
