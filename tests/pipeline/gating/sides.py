"""Photos and answers of two, as the tests of what is side by side need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, get_args

from PIL import Image

from topfive_pipeline.gating.answers import Answer, PhotoAnswers, Prediction
from topfive_pipeline.gating.differing import Differing, find
from topfive_pipeline.gating.judgements import Judgement, Side, Verdict
from topfive_pipeline.proof.photos import Photo

REFUSED = Answer(422, (), "not_an_image")

CHECKED: Final[Mapping[str, Verdict]] = {verdict: verdict for verdict in get_args(Verdict)}


def said(index: int, probability: float = 0.9) -> Answer:
    """An answer whose first label is `label <index>`, with one more behind it."""
    return Answer(
        200,
        (
            Prediction(f"label {index}", index, probability),
            Prediction("something else", 999, (1 - probability) / 2),
        ),
    )


def photo(folder: Path, number: int, label: int | None = None) -> Photo:
    """A small file of its own colour."""
    path = folder / f"photo-{number}.png"
    if not path.exists():
        Image.new("RGB", (48, 32), (number * 17 % 256, number * 5 % 256, 40)).save(path)
    return Photo(path, label)


def answered(
    folder: Path, candidate: Sequence[int], live: Sequence[int], labels: Sequence[int | None] | None = None
) -> PhotoAnswers:
    """Answers by the indices of their first labels, to as many photos; `labels`: none are known."""
    known = [None] * len(live) if labels is None else labels
    photos = tuple(photo(folder, number, label) for number, label in enumerate(known))
    return PhotoAnswers(photos, tuple(map(said, candidate)), tuple(map(said, live)))


def differing(folder: Path, count: int) -> Differing:
    """As many photos on which two differ, and one on which they do not."""
    return find(answered(folder, [*range(1, count + 1), 0], [0] * (count + 1)))


def judged(question: str, verdict: str, *, judge: str = "ada", left: Side = "live") -> Judgement:
    return Judgement(
        question=question,
        photo="0" * 64,
        judge=judge,
        verdict=CHECKED[verdict],
        left=left,
        seed=0,
        at="2026-11-27T12:00:00+00:00",
    )
