"""The order of a judgement: photos, answers, footprint, speed, and what remains within the limits.

What does not live here: each step (the modules beside this one), and how it is shown (`judging.report`, `commands`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging import leakage
from topfive_pipeline.judging.accuracy import accuracy_of, difference_of
from topfive_pipeline.judging.answering import answers_of
from topfive_pipeline.judging.footprint import Footprint, footprint_of
from topfive_pipeline.judging.limits import Choice, Limits, choose
from topfive_pipeline.judging.machine import Machine, memory_left, this_machine
from topfive_pipeline.judging.results import Judged
from topfive_pipeline.judging.sessions import planned
from topfive_pipeline.judging.speed import ROUNDS, Pace, paces_of
from topfive_pipeline.judging.split import fingerprint, in_part
from topfive_pipeline.judging.subjects import Missing, Subject, find, find_in_ways, other_labels
from topfive_pipeline.judging.ways import Way
from topfive_pipeline.proof.photos import Photo, read_photos

BATCHES: Final = (1, 8, 32, 128)
FEWEST: Final = 10
"""Fewer photos tell nothing at all."""
_ALONE: Final = 4
"""Photos whose time alone is measured, one after the other."""
_SPARE: Final = 0.5
"""The share of the memory that is left which a batch may take."""

Which = Literal["judge", "all"]
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be judged: models, the first of which the others are compared with, and the folder of photos.

    `part`: `judge` for the half of the photos that never calibrates, or `all`. `batches`: sizes whose speed is
    measured, in `rounds` rounds; 0 leaves the speed out. `ways`: in which each model is to run, if not only as it is
    served (`judging.ways`). `cores`: 0 for all that this process may use.
    """

    models: Sequence[str]
    repository: Path
    photos: Path
    part: Which = "judge"
    batches: Sequence[int] = BATCHES
    rounds: int = ROUNDS
    cores: int = 0
    limits: Limits = field(default_factory=Limits)
    ways: Sequence[Way] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found. `fingerprint`: of the photos and their labels (`judging.split`); `part`: which half they are.

    `choice`: None if nothing limits it. `rounds`: 0 if the speed was left out. `missing`: the ways that
    were asked for and that no model can run in here. `warnings`: what a reader should know.
    """

    models: tuple[Judged, ...]
    photos: int
    part: Which
    fingerprint: str
    machine: Machine
    slots: int
    rounds: int
    limits: Limits
    choice: Choice | None
    warnings: tuple[str, ...]
    missing: tuple[Missing, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        return asdict(self)


def judge(asked: Asked, progress: Progress) -> Judgement:
    """Judge the models that are `asked` for; raises `ConfigurationError` if one, or the photos, cannot be used."""
    asked.limits.check(speed=asked.rounds > 0)
    missing: tuple[Missing, ...] = ()
    if asked.ways:
        subjects, missing = find_in_ways(asked.models, asked.repository, asked.ways)
    else:
        subjects = find(asked.models, asked.repository)
    progress("reading the photos")
    photos = _photos(asked, subjects[0])
    leakage.must_not_leak(subjects, photos)
    machine = this_machine(cores=asked.cores)
    answers = answers_of(subjects, photos, lambda done, of: progress(f"answers: photo {done} of {of}"))
    footprints = []
    for subject in subjects:
        progress(f"loading {subject.title}")
        footprints.append(footprint_of(subject, cores=machine.cores))
    batches, warnings = _that_fit(asked.batches, subjects, footprints, cores=machine.cores)
    paces: list[list[Pace]] = [[] for _ in subjects]
    if asked.rounds > 0:
        images = [np.asarray(photo.image()) for photo in photos[:_ALONE]]
        paces = paces_of(subjects, images, batches=batches, cores=machine.cores, rounds=asked.rounds, progress=progress)
    models = tuple(
        Judged(
            title=subject.title,
            engine=subject.engine,
            numbers=subject.numbers,
            accuracy=accuracy_of(own),
            difference=difference_of(own, answers[0], budget=asked.limits.loss) if place else None,
            paces=tuple(paces[place]),
            footprint=footprints[place],
        )
        for place, (subject, own) in enumerate(zip(subjects, answers, strict=True))
    )
    return Judgement(
        models=models,
        photos=len(photos),
        part=asked.part,
        fingerprint=fingerprint(photos),
        machine=machine,
        slots=planned(subjects[0].classify.config, cores=machine.cores).slots,
        rounds=asked.rounds,
        limits=asked.limits,
        choice=choose(models, asked.limits) if asked.limits.are_set else None,
        warnings=(
            *other_labels(subjects),
            *(leakage.unknown(subjects) if asked.part == "all" else ()),
            *(warnings if asked.rounds else ()),
        ),
        missing=missing,
    )


def _photos(asked: Asked, reference: Subject) -> list[Photo]:
    """Those of the part that is asked for whose class is known."""
    photos = read_photos(asked.photos, labels=reference.labels)
    known = [photo for photo in photos if photo.label is not None]
    if len(known) < len(photos):
        raise ConfigurationError(
            f"--photos {asked.photos}: the classes of its pictures are not known; add labels.csv (columns file and "
            "index, or file and label), or put the pictures into a folder for each class"
        )
    chosen = known if asked.part == "all" else in_part(known, "judge")
    if len(chosen) < FEWEST:
        half = "" if asked.part == "all" else f" (of its {len(known)}, those that may judge; --part all takes all)"
        raise ConfigurationError(
            f"--photos {asked.photos}: {len(chosen)} photos tell nothing{half}; give at least {FEWEST}, better hundreds"
        )
    return chosen


def _that_fit(
    batches: Sequence[int], subjects: Sequence[Subject], footprints: Sequence[Footprint], *, cores: int
) -> tuple[list[int], list[str]]:
    """Those of `batches` for which there is memory, and a warning for each other."""
    left = memory_left()
    if left is None:
        return list(batches), []
    # All models keep the memory of their largest batch until all are timed.
    slots = [planned(subject.classify.config, cores=cores).slots for subject in subjects]
    an_image = sum(each.image_bytes * count for each, count in zip(footprints, slots, strict=True))
    fit, warnings = [], []
    for batch in batches:
        needed = an_image * batch
        if needed <= left * _SPARE:
            fit.append(batch)
        else:
            size, free = needed / 1e9, left / 1e9
            warnings.append(f"batches of {batch} are left out: they would take {size:.1f} of {free:.1f} GB")
    return fit, warnings
