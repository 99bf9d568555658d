"""The photos on which the two differ, and the file `differing.json` in which they lie beside a report.

Two answers differ if their first labels do, or if only one is a refusal, or both with another code. So that photos can
be judged by eye without the servers, the file has both answers whole, and where each photo is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.answers import Answer, PhotoAnswers, Prediction
from topfive_pipeline.preprocessing.text_files import read_json
from topfive_pipeline.proof.photos import Photo

FILE: Final = "differing.json"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A photo on which the two differ, with both answers: which is better?

    `place`: that of the photo among all that were asked. `digest`: the SHA-256 of its file.
    """

    photo: Photo
    place: int
    digest: str
    candidate: Answer
    live: Answer

    @property
    def key(self) -> str:
        """The same for the same photo and the same two first labels, so that a judgement outlives a run of the gate."""
        said = [self.digest, *(_first(answer) for answer in (self.candidate, self.live))]
        return sha256(json.dumps(said).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Differing:
    """`questions`: one for each of `photos` on which the two differ, in their order."""

    photos: int
    questions: tuple[Question, ...]


def differ(candidate: Answer, live: Answer) -> bool:
    """Whether two answers to a photo differ in what is said first."""
    return _first(candidate) != _first(live)


def said(answer: Answer) -> str:
    """The first label with its probability, or the refusal; for tables."""
    first = answer.first
    if first is not None:
        return f"{first.label} {first.probability:.1%}".replace("%", " %")
    return f"{answer.status} {answer.code}".strip() if answer.code else "no label"


def find(answers: PhotoAnswers) -> Differing:
    """The photos on which the two differ; raises `ConfigurationError` if one of them cannot be read any more."""
    questions = [
        Question(photo=photo, place=place, digest=digest_of(photo.path), candidate=candidate, live=live)
        for place, (photo, candidate, live) in enumerate(answers)
        if differ(candidate, live)
    ]
    return Differing(len(answers.photos), tuple(questions))


def digest_of(path: Path) -> str:
    """The SHA-256 of a photo's file; raises `ConfigurationError`."""
    try:
        with path.open("rb") as file:
            digest = sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise ConfigurationError(f"{path}: the photo cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()


def write(folder: Path, differing: Differing) -> Path:
    """Write `folder`/differing.json, which has the photos' absolute paths; its path."""
    document = {
        "format": _FORMAT,
        "photos": differing.photos,
        "differing": [
            {
                "file": str(each.photo.path.absolute()),
                "sha256": each.digest,
                "place": each.place,
                "label": each.photo.label,
                "candidate": _as_json(each.candidate),
                "live": _as_json(each.live),
            }
            for each in differing.questions
        ],
    }
    path = folder / FILE
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return path


def read(folder: Path) -> Differing:
    """What `write` wrote; raises `ConfigurationError` if there is nothing of the kind."""
    path = folder / FILE
    if not path.is_file():
        raise ConfigurationError(f"{folder}: there is no {FILE} in it; name the folder of a report of topfive gate")
    document = read_json(path)
    try:
        if document["format"] != _FORMAT:
            raise ConfigurationError(f"{path}: it is of another version of topfive; run the gate again")
        photos = document["photos"]
        questions = tuple(_question(each) for each in document["differing"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigurationError(
            f"{path}: it is not as topfive gate wrote it ({error!r}); run the gate again"
        ) from error
    if not isinstance(photos, int) or photos < len(questions):
        raise ConfigurationError(f"{path}: it is not as topfive gate wrote it (photos {photos!r}); run the gate again")
    return Differing(photos, questions)


def check_unchanged(questions: Sequence[Question]) -> None:
    """Raise `ConfigurationError` if a photo is not what the gate asked for."""
    for each in questions:
        if digest_of(each.photo.path) != each.digest:
            raise ConfigurationError(f"{each.photo.path}: the photo has changed since the gate ran; run the gate again")


def _first(answer: Answer) -> str:
    first = answer.first
    return f"{answer.status} {answer.code}" if first is None else f"{first.index} {first.label}"


def _as_json(answer: Answer) -> dict[str, object]:
    return {
        "status": answer.status,
        "code": answer.code,
        "predictions": [[each.label, each.index, each.probability] for each in answer.predictions],
    }


def _question(given: Mapping[str, Any]) -> Question:
    label = given["label"]
    return Question(
        photo=Photo(Path(given["file"]), None if label is None else int(label)),
        place=int(given["place"]),
        digest=str(given["sha256"]),
        candidate=_answer(given["candidate"]),
        live=_answer(given["live"]),
    )


def _answer(given: Mapping[str, Any]) -> Answer:
    predictions = tuple(
        Prediction(str(label), int(index), float(probability)) for label, index, probability in given["predictions"]
    )
    return Answer(int(given["status"]), predictions, str(given["code"]))
