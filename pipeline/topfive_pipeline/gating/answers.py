"""What both contestants answered to the same photos: values, with what is counted from them elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from topfive_pipeline.proof.photos import Photo


@dataclass(frozen=True, slots=True)
class Prediction:
    """One of the labels of an answer; `probability` from 0 to 1."""

    label: str
    index: int
    probability: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What a contestant answered to one photo: predictions, best first, or the `status` and `code` of a refusal."""

    status: int
    predictions: tuple[Prediction, ...] = ()
    code: str = ""

    @property
    def first(self) -> Prediction | None:
        return self.predictions[0] if self.predictions else None


@dataclass(frozen=True, slots=True)
class PhotoAnswers:
    """The answers of both to the same photos, in the same order."""

    photos: tuple[Photo, ...]
    candidate: tuple[Answer, ...]
    live: tuple[Answer, ...]

    def __iter__(self) -> Iterator[tuple[Photo, Answer, Answer]]:
        """Each photo with the candidate's answer and the live version's."""
        return zip(self.photos, self.candidate, self.live, strict=True)
