"""Whether what a well-behaved client got is what it may expect."""

import json

import numpy as np
import pytest

from benchmarks import mix
from benchmarks.answers import Told
from benchmarks.mix import LOST, REFUSED, RIGHT, WRONG, Ask, judge, judge_all
from tests.benchmarks.given import answer as answer_of
from topfive_loadgen.plan import Sample

GOOD = Ask("raw", b"", labels=[frozenset({"cat", "lynx"}), frozenset({"dog"})])
BAD = Ask("media type", b"", 415)


def given(status: int, seen: object, *, retry_after: float | None = None, request: int = 0) -> Sample:
    return answer_of(request, 0.0, 0.0, 0.1, status, seen, retry_after)


@pytest.mark.parametrize(
    ("asked", "answer", "verdict"),
    [
        (GOOD, given(200, Told("1", ("cat", "dog"))), RIGHT),
        (GOOD, given(200, Told("1", ("lynx", "dog"))), RIGHT),
        (GOOD, given(200, Told("1", ("dog", "cat"))), WRONG),
        (GOOD, given(200, Told("1", ("cat",))), WRONG),
        (GOOD, given(200, "not an answer"), WRONG),
        (GOOD, given(500, "internal"), WRONG),
        (GOOD, given(429, "queue_full", retry_after=1.0), REFUSED),
        (GOOD, given(503, "not_ready", retry_after=1.0), REFUSED),
        (GOOD, given(429, "queue_full"), WRONG),
        (GOOD, given(504, "deadline_exceeded"), REFUSED),
        (GOOD, given(0, "closed"), LOST),
        (BAD, given(415, "unsupported_media_type"), RIGHT),
        (BAD, given(200, Told("1", ("cat",))), WRONG),
        (BAD, given(429, "queue_full", retry_after=1.0), REFUSED),
    ],
)
def test_an_answer_is_judged_by_what_was_asked(asked: Ask, answer: Sample, verdict: str) -> None:
    """Right, refused honestly, wrong, or lost; a refusal that does not say when to come again is wrong."""
    assert judge(asked, answer)[0] == verdict


def test_all_answers_are_counted_by_kind_and_the_bad_ones_told() -> None:
    answers = [given(200, Told("1", ("cat", "dog"))), given(0, "closed"), given(500, "internal", request=1)]
    judged = judge_all([GOOD, BAD], answers)
    assert judged.counts == {"raw": {RIGHT: 1, LOST: 1}, "media type": {WRONG: 1}}
    assert (judged.lost, len(judged.wrong)) == (["closed"], 1)
    json.dumps(judged.counts)


def test_an_image_goes_over_every_route() -> None:
    """Pixels over all, one and three at a time; what is too large for JSON not in JSON; a file as a file."""
    small, large = np.zeros((2, 2, 3), np.uint8), np.zeros((1000, 1000, 3), np.uint8)
    kinds = {"classify raw", "classify three", "OIP binary", "OIP binary three", "OIP JSON"}
    assert {ask.kind for ask in mix.good_asks("m", [small])} == kinds
    assert {ask.kind for ask in mix.good_asks("m", [large])} == kinds - {"OIP JSON"}
    assert [ask.kind for ask in mix.good_asks("m", [b"\xff\xd8"])] == ["classify file"]
