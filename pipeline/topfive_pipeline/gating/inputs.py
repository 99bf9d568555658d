"""What a gate is asked to look at, and the files for it: all are read before a server is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating import cases, quality
from topfive_pipeline.gating.cases import Case
from topfive_pipeline.gating.starting import Competing
from topfive_pipeline.judging import leakage
from topfive_pipeline.judging.judge import FEWEST
from topfive_pipeline.proof.photos import Photo, read_photos
from topfive_pipeline.under_load import objectives
from topfive_pipeline.under_load.objectives import Objectives

Load = Literal["full", "quick", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be looked at.

    `cases`: a folder, None for what comes with topfive. `photos`: a folder, None for none; `limits`: of quality;
    `frequency`: a file that says how often what is sent; `judged`: the judgements of `topfive judge`. `load`: how long
    both are put under load; `slo`: a file with objectives of it.
    """

    cases: Path | None = None
    photos: Path | None = None
    limits: quality.Limits = field(default_factory=quality.Limits)
    frequency: Path | None = None
    judged: Path | None = None
    load: Load = "full"
    slo: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What was read. `cases`: None for those that come along; `photos`: none if not asked; `objectives`: of the load.

    `notes_on_cases`, `notes_on_photos`: what a reader should know of them.
    """

    cases: tuple[Case, ...] | None = None
    photos: tuple[Photo, ...] = ()
    objectives: Objectives | None = None
    notes_on_cases: tuple[str, ...] = ()
    notes_on_photos: tuple[str, ...] = ()


def read(asked: Asked, both: Competing) -> Inputs:
    """Read the files that are `asked` for; raises `ConfigurationError` if one cannot be used, or serves nothing."""
    _check(asked)
    own, forgotten = None, []
    if asked.cases is not None:
        own = cases.read_cases(asked.cases)
        forgotten = cases.unlisted(asked.cases, own)
    photos, notes = ((), []) if asked.photos is None else _fresh(asked.photos, both)
    return Inputs(
        cases=own,
        photos=photos,
        objectives=None if asked.slo is None else objectives.read(asked.slo),
        notes_on_cases=(f"{cases.LISTING} says nothing of {', '.join(forgotten)}.",) if forgotten else (),
        notes_on_photos=tuple(notes),
    )


def _check(asked: Asked) -> None:
    """Raise `ConfigurationError` for a flag that would be ignored, or that names no file."""
    for flag, path in (("frequency", asked.frequency), ("judged", asked.judged)):
        if path is None:
            continue
        if asked.photos is None:
            raise ConfigurationError(f"--{flag} is of photos; say --photos too")
        if not path.is_file():
            raise ConfigurationError(f"--{flag} {path}: there is no such file")
    if asked.slo is not None and asked.load == "none":
        raise ConfigurationError("--slo needs the load, which --no-load leaves out; take one of the two out")


def _fresh(folder: Path, both: Competing) -> tuple[tuple[Photo, ...], list[str]]:
    """The photos of `folder` that had no part in making a contestant, and notes of those that had one."""
    photos = read_photos(folder, labels=both.labels)
    graphs = {subject.title: subject.classify.path for subject in both.subjects}
    found = leakage.leaks(graphs, photos)
    used = {photo.path for leak in found for photo in leak.photos}
    fresh = tuple(photo for photo in photos if photo.path not in used)
    if len(fresh) < FEWEST:
        left = f" of its {len(photos)}, the others made one of the two" if used else ""
        raise ConfigurationError(
            f"--photos {folder}: {len(fresh)} photos{left} tell nothing; give at least {FEWEST}, better hundreds"
        )
    notes = [f"Left out: {leak.said()}. A model does well on what made it." for leak in found]
    return fresh, [*notes, *(f"{warning}." for warning in leakage.unknown(both.subjects))]
