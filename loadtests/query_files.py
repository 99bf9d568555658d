"""Stores the queries of a run in a folder: the driver writes them once, every generator process reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from loadtests.queries import NULL_LABEL, Query

_INDEX: Final = "index.json"


def write(queries: Iterable[Query], folder: Path) -> int:
    """Write the queries; return their number."""
    folder.mkdir(parents=True, exist_ok=True)
    index = []
    for number, query in enumerate(queries):
        name = f"{number:04}.bin"
        (folder / name).write_bytes(query.body)
        index.append({**asdict(replace(query, body=b"")), "body": name})
    (folder / _INDEX).write_text(json.dumps(index, indent=1) + "\n")
    return len(index)


def read(folder: Path, *, null: bool = False) -> list[Query]:
    """Read the queries back; with `null`, each expects the null server's answer."""
    found = []
    for entry in json.loads((folder / _INDEX).read_text()):
        query = Query(**{**entry, "body": (folder / entry["body"]).read_bytes()})
        found.append(replace(query, expected=NULL_LABEL) if null else query)
    return found
