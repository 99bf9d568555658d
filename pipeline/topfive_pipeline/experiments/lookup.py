"""Which runs are meant: by an id or its beginning, or by a model's graph, wherever that was made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import onnx

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.entry.provenance import properties_of, sha256
from topfive_pipeline.experiments.runs import GRAPHS, RUN_ID, TRACKING, Stored
from topfive_pipeline.experiments.tracking import Tracker
from topfive_pipeline.judging.subjects import find

_ID: Final = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class Of:
    """The runs that were meant, the newest first; of a model: the one that made its graph, if it is known, is last."""

    runs: tuple[Stored, ...]
    made_by: str | None = None


def one(asked: str, tracker: Tracker, repository: Path) -> Stored:
    """The one run that `asked` means: of a model the one that made its graph, else the newest of it.

    Raises `ConfigurationError` if there is none, or an id's beginning is that of several.
    """
    found = runs_of(asked, tracker, repository)
    if found.made_by is not None:
        return tracker.run(found.made_by)
    return tracker.run(found.runs[0].id)


def runs_of(asked: str, tracker: Tracker, repository: Path) -> Of:
    """The runs that `asked` means: an id or its beginning, or NAME or NAME:VERSION of `repository`, or FOLDER/NAME."""
    if _ID.fullmatch(asked):
        begun = [run for run in tracker.runs() if run.id.startswith(asked)]
        if len(begun) > 1:
            ids = ", ".join(run.id for run in begun)
            raise ConfigurationError(f"several runs begin with {asked}: {ids}; say more of the id")
        if begun:
            return Of(tuple(begun))
    return _of_graph(asked, tracker, repository)


def _of_graph(asked: str, tracker: Tracker, repository: Path) -> Of:
    try:
        (subject,) = find([asked], repository)
    except ConfigurationError as error:
        raise ConfigurationError(f"{asked} is no run of {tracker.where}, and no model: {error}") from error
    path = subject.classify.path
    runs = tracker.runs(tags={GRAPHS: sha256(path)})
    said = properties_of(onnx.load(path, load_external_data=False))
    maker = said.get(RUN_ID)
    if maker is not None and all(run.id != maker for run in runs):
        runs += _made_elsewhere(subject.title, maker, said.get(TRACKING, "another store"), tracker, runs)
    if not runs:
        raise ConfigurationError(f"no run of {tracker.where} is of {subject.title}, nor of a graph with its SHA-256")
    return Of(tuple(runs), maker if maker is not None and any(run.id == maker for run in runs) else None)


def _made_elsewhere(title: str, maker: str, where: str, tracker: Tracker, others: Sequence[Stored]) -> list[Stored]:
    """The run `maker` of a graph that was changed since, or is of another store."""
    try:
        return [tracker.run(maker)]
    except ConfigurationError as error:
        if others:
            return []
        raise ConfigurationError(
            f"the run {maker} made {title}, and was recorded in {where}; set MLFLOW_TRACKING_URI to that ({error})"
        ) from error
