"""Writes runs as a table for other programs: CSV, JSON or Markdown, a row for each run."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.experiments.comparing import figure
from topfive_pipeline.experiments.runs import Stored

Format = Literal["csv", "json", "markdown"]
_ENDINGS: Final[Mapping[str, Format]] = {".csv": "csv", ".json": "json", ".md": "markdown", ".markdown": "markdown"}


def format_of(file: Path) -> Format:
    """The format by the ending of a file's name; raises `ConfigurationError` if it says none."""
    if file.suffix.lower() not in _ENDINGS:
        raise ConfigurationError(f"{file}: its name does not say a format; say --format csv, json or markdown")
    return _ENDINGS[file.suffix.lower()]


def write(runs: Sequence[Stored], file: Path, form: Format) -> None:
    """Write `runs` into `file`; raises `ConfigurationError` if it cannot be written."""
    text = render(runs, form)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigurationError(f"{file}: it cannot be written ({error.strerror or error})") from error


def render(runs: Sequence[Stored], form: Format) -> str:
    """`runs` as text in the format `form`."""
    makers: Mapping[Format, Callable[[Sequence[Stored]], str]] = {"csv": _csv, "json": _json, "markdown": _markdown}
    return makers[form](runs)


def as_document(run: Stored) -> dict[str, Any]:
    """One run for programs."""
    return {
        "run": run.id,
        "began": run.began.isoformat(),
        "status": run.status,
        "command": run.command,
        "model": run.model,
        "params": dict(run.params),
        "metrics": dict(run.metrics),
        "tags": dict(run.tags),
        **({"artifacts": list(run.artifacts)} if run.artifacts else {}),
    }


def _json(runs: Sequence[Stored]) -> str:
    return json.dumps([as_document(run) for run in runs], indent=2) + "\n"


def _csv(runs: Sequence[Stored]) -> str:
    rows = [_flat(run) for run in runs]
    text = io.StringIO()
    writer = csv.DictWriter(text, _names(rows), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(runs: Sequence[Stored]) -> str:
    names = sorted({name for run in runs for name in run.metrics})
    head = ["run", "began", "command", "model", "photos", *names]
    lines = [head, ["---"] * 5 + ["---:"] * len(names)]
    for run in runs:
        figures = [figure(run.metrics[name]) if name in run.metrics else "" for name in names]
        began = f"{run.began:%Y-%m-%d %H:%M}"
        lines.append([run.short, began, run.command, run.model, run.data[:8], *figures])
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _flat(run: Stored) -> dict[str, str]:
    """One row: what stands in every run, then its parameters, metrics and tags under their kinds."""
    document = as_document(run)
    row = {name: str(document[name]) for name in ("run", "began", "status", "command", "model")}
    for kind in ("params", "metrics", "tags"):
        row |= {f"{kind}.{name}": str(value) for name, value in document[kind].items()}
    return row


def _names(rows: Sequence[Mapping[str, str]]) -> list[str]:
    names: dict[str, None] = dict.fromkeys(("run", "began", "status", "command", "model"))
    for kind in ("params", "metrics", "tags"):
        names |= dict.fromkeys(sorted({name for row in rows for name in row if name.startswith(f"{kind}.")}))
    return list(names)
