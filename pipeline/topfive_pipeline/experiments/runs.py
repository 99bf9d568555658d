"""What is recorded of one run of a command, and what is read back of it.

What lives here: the words of the record. What does not: the store (`experiments.tracking`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

COMMAND: Final = "topfive.command"
MODEL: Final = "topfive.model"
GRAPHS: Final = "graph.sha256"
"""The SHA-256 of the classify graph: the run of a graph is found by it wherever the graph lies."""
RESIZE_GRAPH: Final = "resize_graph.sha256"
DATA: Final = "data.sha256"
"""The fingerprint of the photos that the figures are of, and of their classes (`judging.split`)."""
DATA_FOLDER: Final = "data.folder"
"""The last part of the name of the folder that they are in."""
REFUSED: Final = "topfive.refused"
RUN_ID: Final = "experiment.run_id"
TRACKING: Final = "experiment.tracking"
"""Properties of a graph: the run that made it, and the store that has the run, without folders and credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is recorded of a command that was run for one `model` (NAME:VERSION).

    `params` are what was asked for, `metrics` what was found (finite numbers; their names end in their unit), `tags`
    what it was run with. `texts` are files to keep, by name with their contents; `files` likewise, where they lie.
    Nothing in it names the user, the host or a folder of theirs: `discreet` makes such a value of a flag.
    """

    model: str
    params: Mapping[str, object] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A run as the store has it. `status`: MLflow's word; `began` in UTC; `artifacts`: names of its files."""

    id: str
    began: datetime
    status: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifacts: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The beginning of its id, which names it among thousands."""
        return self.id[:8]

    @property
    def command(self) -> str:
        return self.tags.get(COMMAND, "")

    @property
    def model(self) -> str:
        return self.tags.get(MODEL, "")

    @property
    def data(self) -> str:
        """The fingerprint of its photos; empty if it had none of its own."""
        return self.tags.get(DATA, "")


def discreet(value: object) -> str | None:
    """A flag's value as it is recorded: of a path the last part, which names no user; None if nothing was said."""
    if value is None:
        return None
    if isinstance(value, Path):
        return value.name or str(value)
    if isinstance(value, list | tuple):
        return ",".join(str(each) for each in value)
    return str(value)


def without_folders(title: str) -> str:
    """A model as it was asked for, NAME or FOLDER/NAME:VERSION, with no more of its folder than the last part."""
    return "/".join(title.split("/")[-2:])
