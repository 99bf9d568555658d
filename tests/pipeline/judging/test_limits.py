"""A limit is met or not; of those that meet all the best is taken, and the sentence says how sure that is."""

from __future__ import annotations

import numpy as np
import pytest

from topfive.ground.errors import ConfigurationError
from topfive_pipeline.judging.accuracy import accuracy_of, difference_of
from topfive_pipeline.judging.answering import Answers
from topfive_pipeline.judging.footprint import Footprint
from topfive_pipeline.judging.limits import Limits, choose
from topfive_pipeline.judging.results import Judged
from topfive_pipeline.judging.speed import Pace, Spread

PHOTOS = 1000


def answers(wrong: int) -> Answers:
    """Of 1000 photos the first `wrong` are wrong."""
    rank = np.zeros(PHOTOS, np.int64)
    rank[:wrong] = 1
    return Answers(rank, rank, rank.astype(np.float64), np.zeros(PHOTOS), 10)


def judged(title: str, *, wrong: int, ms: float, mb: float, loss: float | None = None) -> Judged:
    """A model beside one that is wrong 100 times, and takes 20 ms."""
    first = title == "fp32:1"
    seconds, ratio = Spread(ms / 1e3, ms / 1e3, ms / 1e3), Spread(20 / ms, 20 / ms, 20 / ms)
    return Judged(
        title=title,
        engine="onnxruntime",
        numbers="fp32",
        accuracy=accuracy_of(answers(wrong)),
        difference=None if first else difference_of(answers(wrong), answers(100), budget=loss),
        paces=tuple(Pace(case, size, seconds, ratio, (ms / 1e3,)) for case, size in (("alone", 1), ("batch 8", 8))),
        footprint=Footprint(1, 1.0, mb * 1e6, 1.0),
    )


def models(loss: float | None = None) -> list[Judged]:
    return [
        judged("fp32:1", wrong=100, ms=20, mb=100),
        judged("int8:1", wrong=103, ms=8, mb=40, loss=loss),
        judged("int4:1", wrong=200, ms=5, mb=20, loss=loss),
        judged("large:1", wrong=50, ms=90, mb=400, loss=loss),
    ]


def test_the_fastest_within_the_limits() -> None:
    found = choose(models(0.5), Limits(loss=0.5, ms=200, mb=300))
    assert (found.remain, found.best) == (("fp32:1", "int8:1"), "int8:1")
    assert found.out == {"int4:1": "loses 10.00 points", "large:1": "takes 400 MB"}
    assert found.sentence.startswith(
        "2 of 4 models remain within 0.5 points of loss, 200 ms for an image alone and 300 MB of memory; the fastest "
        "of them is int8:1, 2.50 times as fast as fp32:1, top-1 −0.30 points (−"
    )
    assert "; these photos do not prove it, about " in found.sentence
    assert found.sentence.endswith("; out: int4:1 loses 10.00 points; large:1 takes 400 MB.")


def test_what_is_proven_is_not_said_to_be_unproven() -> None:
    assert "prove" not in choose(models(5), Limits(loss=5)).sentence


def test_the_most_accurate_within_the_limits() -> None:
    found = choose(models(), Limits(ms=100, wish="accuracy"))
    assert (found.best, found.out) == ("large:1", {})
    assert found.sentence.startswith("All models remain within 100 ms for an image alone; the most accurate of them is")


def test_one_that_remains_is_named() -> None:
    found = choose(models(), Limits(ms=6))
    assert found.sentence.startswith("Only int4:1 remains within 6 ms for an image alone, 4.00 times as fast as fp32:1")
    assert "fp32:1 takes 20.0 ms; int8:1 takes 8.0 ms" in found.sentence


def test_a_model_may_be_beyond_several_limits() -> None:
    assert choose(models(), Limits(loss=1, mb=10)).out["int4:1"] == "loses 10.00 points and takes 20 MB"


def test_none_may_remain() -> None:
    found = choose(models(), Limits(mb=1))
    assert (found.best, found.remain) == (None, ())
    assert found.sentence.startswith("No model is within 1 MB of memory: fp32:1 takes 100 MB; ")


def test_a_model_alone() -> None:
    assert choose(models()[:1], Limits(mb=200)).sentence == "It remains within 200 MB of memory."


def test_limits_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="--at-most-ms -1: it must be 0 or more"):
        Limits(ms=-1).check(speed=True)
    with pytest.raises(ConfigurationError, match="--at-most-loss nan"):
        Limits(loss=float("nan")).check(speed=True)
    with pytest.raises(ConfigurationError, match="--at-most-ms needs the speed, which --rounds 0 leaves out"):
        Limits(ms=5).check(speed=False)
    Limits(mb=0, loss=0).check(speed=False)
    assert not Limits(wish="accuracy").are_set
