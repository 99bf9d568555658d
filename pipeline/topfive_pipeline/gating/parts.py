"""The parts of a gate that are asked for, in their order, and those that are not, with how to ask for them.

What lives here: which part needs what. What does not: what each does (the modules beside this one).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating import cases, quality
from topfive_pipeline.gating.answers import PhotoAnswers
from topfive_pipeline.gating.asking import answers_of
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.gate import Part, Progress
from topfive_pipeline.gating.starting import Started
from topfive_pipeline.judging import leakage
from topfive_pipeline.judging.judge import FEWEST
from topfive_pipeline.proof.photos import Photo, read_photos

_PHOTOS_PER_SECOND: Final = 25.0
"""That both answer on a small machine, for the estimate."""
_CASES_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be looked at. `cases`: a folder, None for what comes with topfive. `photos`: a folder, or None.

    `limits`: of quality.
    """

    cases: Path | None = None
    photos: Path | None = None
    limits: quality.Limits = field(default_factory=quality.Limits)


@dataclass(frozen=True, slots=True)
class Planned:
    """The `parts` to run, and what is left out; `photos`: those that are sent."""

    parts: tuple[Part, ...]
    left_out: tuple[str, ...]
    photos: tuple[Photo, ...] = ()


def planned(asked: Asked, started: Started) -> Planned:
    """The parts that are `asked` for; raises `ConfigurationError` if cases or photos cannot be used."""
    parts = [_cases(asked, started)]
    left_out = []
    photos: tuple[Photo, ...] = ()
    if asked.photos is None:
        left_out.append("quality, agreement and side by side (--photos)")
    else:
        photos, notes = _fresh(asked.photos, started)
        answers = _Answers(started, photos)
        parts.append(_quality(asked, answers, notes))
    return Planned(tuple(parts), tuple(left_out), photos)


class _Answers:
    """The answers of both to all photos, asked for once."""

    def __init__(self, started: Started, photos: Sequence[Photo]) -> None:
        self._pair = started.pair
        self._photos = photos
        self._found: PhotoAnswers | None = None

    @property
    def seconds(self) -> float:
        """About how long it takes to ask."""
        return len(self._photos) / _PHOTOS_PER_SECOND

    def __call__(self, progress: Progress) -> PhotoAnswers:
        if self._found is None:
            self._found = answers_of(
                self._pair, self._photos, lambda done, of: progress(f"photo {done} of {of}, sent to both")
            )
        return self._found


def _cases(asked: Asked, started: Started) -> Part:
    own = None if asked.cases is None else (cases.read_cases(asked.cases), asked.cases)

    def run(progress: Progress) -> list[Chapter]:
        if own is not None:
            read, folder = own
            forgotten = cases.unlisted(folder, read)
            notes = [f"{cases.LISTING} says nothing of {', '.join(forgotten)}."] if forgotten else []
        else:
            imagenet = cases.knows_imagenet(started.pair.live)
            read = cases.shipped(imagenet=imagenet)
            more = "" if imagenet else "; none names a label, for the live version does not have those of ImageNet"
            notes = [f"These are the cases that come with topfive{more}. Give your own with --cases."]
        return [cases.chapter(started.pair, read, progress, notes=notes)]

    return Part(key="cases", title="Must-pass cases", seconds=_CASES_SECONDS, run=run)


def _quality(asked: Asked, answers: _Answers, notes: Sequence[str]) -> Part:
    def run(progress: Progress) -> list[Chapter]:
        found = quality.chapter(answers(progress), asked.limits)
        return [replace(found, notes=(*found.notes, *notes))]

    return Part(key="quality", title="Quality", seconds=answers.seconds, run=run)


def _fresh(folder: Path, started: Started) -> tuple[tuple[Photo, ...], list[str]]:
    """The photos of `folder` that had no part in making a contestant, and notes of those that had one."""
    photos = read_photos(folder, labels=started.labels)
    graphs = {subject.title: subject.classify.path for subject in started.subjects}
    found = leakage.leaks(graphs, photos)
    used = {photo.path for leak in found for photo in leak.photos}
    fresh = tuple(photo for photo in photos if photo.path not in used)
    if len(fresh) < FEWEST:
        left = f" of its {len(photos)}, the others made one of the two" if used else ""
        raise ConfigurationError(
            f"--photos {folder}: {len(fresh)} photos{left} tell nothing; give at least {FEWEST}, better hundreds"
        )
    notes = [f"Left out: {leak.said()}. A model does well on what made it." for leak in found]
    return fresh, [*notes, *(f"{warning}." for warning in leakage.unknown(started.subjects))]
