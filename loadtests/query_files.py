"""The folder in which the queries of a run lie: written once by the driver, read by every generator process."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from loadtests.queries import NULL_LABEL, Query

_INDEX: Final = "index.json"


def write(queries: Iterable[Query], folder: Path) -> int:
    """Write them; how many."""
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for number, query in enumerate(queries):
        name = f"{number:04}.bin"
        (folder / name).write_bytes(query.body)
        index.append({**asdict(replace(query, body=b"")), "body": name})
    (folder / _INDEX).write_text(json.dumps(index, indent=1) + "\n")
    return len(index)


def read(folder: Path, *, null: bool = False) -> list[Query]:
    """Read them back; `null` expects of each what the null backend answers."""
    found = []
    for entry in json.loads((folder / _INDEX).read_text()):
        query = Query(**{**entry, "body": (folder / entry["body"]).read_bytes()})
        found.append(replace(query, expected=NULL_LABEL) if null else query)
    return found
