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
from topfive_pipeline.gating.cases import Case
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.gate import Part, Progress
from topfive_pipeline.gating.starting import Competing
from topfive_pipeline.judging import leakage
from topfive_pipeline.judging.judge import FEWEST
from topfive_pipeline.proof.photos import Photo, read_photos

_PHOTOS_PER_SECOND: Final = 25.0
"""That both answer on a small machine, for the estimate."""
_CASES_SECONDS: Final = 3.0
_OURS: Final = "These are the cases that come with topfive. Give your own with --cases."
_NO_LABELS: Final = "None names a label, for the live version does not have those of ImageNet."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be looked at. `cases`: a folder, None for what comes with topfive. `photos`: a folder, or None.

    `limits`: of quality.
    """

    cases: Path | None = None
    photos: Path | None = None
    limits: quality.Limits = field(default_factory=quality.Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What was read before a server is started. `cases`: None for those that come along; `photos`: none if not asked.

    `notes_on_cases`, `notes_on_photos`: what a reader should know of them.
    """

    cases: tuple[Case, ...] | None = None
    photos: tuple[Photo, ...] = ()
    notes_on_cases: tuple[str, ...] = ()
    notes_on_photos: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """The `parts` to run, and what is left out."""

    parts: tuple[Part, ...]
    left_out: tuple[str, ...]


def read(asked: Asked, both: Competing) -> Inputs:
    """Read the files that are `asked` for; raises `ConfigurationError` if cases or photos cannot be used."""
    own, forgotten = None, []
    if asked.cases is not None:
        own = cases.read_cases(asked.cases)
        forgotten = cases.unlisted(asked.cases, own)
    photos, notes = ((), []) if asked.photos is None else _fresh(asked.photos, both)
    return Inputs(
        cases=own,
        photos=photos,
        notes_on_cases=(f"{cases.LISTING} says nothing of {', '.join(forgotten)}.",) if forgotten else (),
        notes_on_photos=tuple(notes),
    )


def planned(asked: Asked, inputs: Inputs, pair: Pair) -> Planned:
    """The parts that are `asked` for, in their order."""
    parts = [_cases(inputs, pair)]
    left_out = []
    if inputs.photos:
        answers = _Answers(pair, inputs.photos)
        parts.append(_quality(asked, answers, inputs))
    else:
        left_out.append("quality, agreement and side by side (--photos)")
    return Planned(tuple(parts), tuple(left_out))


class _Answers:
    """The answers of both to all photos, asked for once."""

    def __init__(self, pair: Pair, photos: Sequence[Photo]) -> None:
        self._pair = pair
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


def _cases(inputs: Inputs, pair: Pair) -> Part:
    def run(progress: Progress) -> list[Chapter]:
        read, notes = inputs.cases, inputs.notes_on_cases
        if read is None:
            imagenet = cases.knows_imagenet(pair.live)
            read = cases.shipped(imagenet=imagenet)
            notes = (_OURS if imagenet else f"{_OURS} {_NO_LABELS}",)
        return [cases.chapter(pair, read, progress, notes=notes)]

    return Part(key="cases", title="Must-pass cases", seconds=_CASES_SECONDS, run=run)


def _quality(asked: Asked, answers: _Answers, inputs: Inputs) -> Part:
    def run(progress: Progress) -> list[Chapter]:
        found = quality.chapter(answers(progress), asked.limits)
        return [replace(found, notes=(*found.notes, *inputs.notes_on_photos))]

    return Part(key="quality", title="Quality", seconds=answers.seconds, run=run)


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
