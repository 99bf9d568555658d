"""The parts of a gate that are asked for, in their order, and those that are not, with how to ask for them.

What lives here: which part needs what. What does not: what each does (the modules beside this one), and the files that
they need (`gating.inputs`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating import cases, load, quality, side_by_side
from topfive_pipeline.gating.answers import PhotoAnswers
from topfive_pipeline.gating.asking import answers_of
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.gating.findings import Chapter
from topfive_pipeline.gating.frequency import Weights, weights_of
from topfive_pipeline.gating.gate import Part, Progress
from topfive_pipeline.gating.inputs import Asked, Inputs
from topfive_pipeline.gating.load_plan import LoadPlan
from topfive_pipeline.proof.photos import shipped

_PHOTOS_PER_SECOND: Final = 25.0
"""That both answer on a small machine, for the estimate."""
_SECONDS: Final = 3.0
"""For what takes no time to speak of."""
_OURS: Final = "These are the cases that come with topfive. Give your own with --cases."
_NO_LABELS: Final = "None names a label, for the live version does not have those of ImageNet."


@dataclass(frozen=True, slots=True)
class Planned:
    """The `parts` to run, and what is left out; `answers`: those of the photos, None without photos."""

    parts: tuple[Part, ...]
    left_out: tuple[str, ...]
    answers: Answers | None = None


class Answers:
    """The answers of both to all photos, and how often each is sent; asked for once, by the part that comes first."""

    def __init__(self, asked: Asked, inputs: Inputs, pair: Pair) -> None:
        self.found: PhotoAnswers | None = None
        self._failed: ConfigurationError | None = None
        self._asked = asked
        self._photos = inputs.photos
        self._pair = pair

    @property
    def seconds(self) -> float:
        """About how long it takes to ask."""
        return len(self._photos) / _PHOTOS_PER_SECOND

    def __call__(self, progress: Progress) -> tuple[PhotoAnswers, Weights | None]:
        if self._failed is not None:  # a server that hangs is not waited for twice
            raise self._failed
        if self.found is None:
            try:
                self.found = answers_of(
                    self._pair, self._photos, lambda done, of: progress(f"photo {done} of {of}, sent to both")
                )
            except ConfigurationError as error:
                self._failed = error
                raise
        path = self._asked.frequency
        return self.found, None if path is None else weights_of(path, self.found, model=self._pair.live.model)


def planned(asked: Asked, inputs: Inputs, pair: Pair) -> Planned:
    """The parts that are `asked` for, in their order."""
    parts = [_cases(inputs, pair)]
    left_out = []
    answers = None
    if inputs.photos:
        answers = Answers(asked, inputs, pair)
        parts += [_quality(asked, answers, inputs), _sides(asked, answers)]
    else:
        left_out.append("quality, agreement and side by side (--photos)")
    if asked.load == "none":
        left_out.append("load, memory and start-up (--no-load)")
    else:
        parts.append(_load(asked, inputs, pair))
    return Planned(tuple(parts), tuple(left_out), answers)


def _cases(inputs: Inputs, pair: Pair) -> Part:
    def run(progress: Progress) -> list[Chapter]:
        read, notes = inputs.cases, inputs.notes_on_cases
        if read is None:
            imagenet = cases.knows_imagenet(pair.live)
            read = cases.shipped(imagenet=imagenet)
            notes = (_OURS if imagenet else f"{_OURS} {_NO_LABELS}",)
        return [cases.chapter(pair, read, progress, notes=notes)]

    return Part(key="cases", title="Must-pass cases", seconds=_SECONDS, run=run)


def _quality(asked: Asked, answers: Answers, inputs: Inputs) -> Part:
    def run(progress: Progress) -> list[Chapter]:
        found, weights = answers(progress)
        told = quality.chapter(found, asked.limits, weights=None if weights is None else weights.values)
        more = () if weights is None else weights.notes
        return [replace(told, notes=(*told.notes, *inputs.notes_on_photos, *more))]

    return Part(key="quality", title="Quality", seconds=answers.seconds, run=run)


def _sides(asked: Asked, answers: Answers) -> Part:
    def run(progress: Progress) -> Sequence[Chapter]:
        found, weights = answers(progress)
        given = None if weights is None else weights.values
        accept = asked.limits.accept_undecided
        return [side_by_side.chapter(found, weights=given, judged=asked.judged, accept=accept)]

    return Part(key="side-by-side", title="Side by side", seconds=_SECONDS, run=run)


def _load(asked: Asked, inputs: Inputs, pair: Pair) -> Part:
    plan = LoadPlan(photos=inputs.photos or tuple(shipped()), objectives=inputs.objectives)
    plan = plan.quick() if asked.load == "quick" else plan

    def run(progress: Progress) -> Sequence[Chapter]:
        return load.chapters(pair, plan, progress)

    return Part(key="load", title="Load, memory and start-up", seconds=plan.expected_seconds, run=run)
