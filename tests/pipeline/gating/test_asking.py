"""Both are asked about the same photos, in their order, whatever order the answers come in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.gating.asking import answers_of
from topfive_pipeline.gating.client import Client, Unreachable
from topfive_pipeline.gating.contestants import Pair
from topfive_pipeline.proof.photos import Photo


def test_every_photo_has_the_answers_of_both(pair: Pair, known_photos: list[Photo]) -> None:
    counted: list[tuple[int, int]] = []
    answers = answers_of(pair, known_photos, lambda done, of: counted.append((done, of)))
    assert answers.photos == tuple(known_photos)
    assert counted == [(done, 60) for done in range(1, 61)]
    with Client(pair.candidate) as candidate, Client(pair.live) as live:
        for place in (0, 31, 59):
            body = known_photos[place].path.read_bytes()
            assert answers.candidate[place] == candidate.classify(body)
            assert answers.live[place] == live.classify(body)


def test_what_one_thread_meets_ends_all(pair: Pair, known_photos: list[Photo]) -> None:
    gone = Pair(pair.candidate, replace(pair.live, url="http://127.0.0.1:9"))
    with pytest.raises(Unreachable, match="pets:1 does not answer"):
        answers_of(gone, known_photos, lambda *_: None)
    missing = [*known_photos, Photo(Path("none.png"))]
    with pytest.raises(ConfigurationError, match=r"none\.png: it cannot be read"):
        answers_of(pair, missing, lambda *_: None)
