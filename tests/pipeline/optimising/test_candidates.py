"""Of graphs on engines the fastest that is allowed is taken, and each other says why it is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from topfive_pipeline.judging.footprint import Footprint
from topfive_pipeline.judging.intervals import Interval
from topfive_pipeline.judging.speed import ALONE, Pace, Spread
from topfive_pipeline.judging.ways import Way
from topfive_pipeline.optimising.asked import Wanted
from topfive_pipeline.optimising.candidates import ORIGINAL, Candidate, choose, ways
from topfive_pipeline.optimising.judged import Judged
from topfive_pipeline.optimising.measuring import Distance

NEAR = Distance(sqnr=25.0, divergence=0.001, agreement=0.99, largest=0.1, mean=0.01)
INT8, OTHER_INT8, BF16 = Way("onnxruntime", "int8"), Way("openvino", "int8"), Way("openvino", "bf16")


def _candidate(way: Way, ratio: float, *, loss: float = 0.0, low: float = -0.01, ms: float = 5.0) -> Candidate:
    spread = Spread(ratio, ratio, ratio)
    judged = Judged(photos=100, distance=NEAR, before=0.9, loss=loss, interval=Interval(low, loss + 0.02))
    return Candidate(
        way=way,
        judged=judged,
        recipe=None,
        paces=(Pace(ALONE, 1, Spread(ms / 1e3, ms / 1e3, ms / 1e3), spread, ()),),
        footprint=Footprint(5_000_000, 0.1, 100e6, 1e6),
    )


def _wanted(**fields: Any) -> Wanted:
    return Wanted(model="pets", repository=Path(), **fields)


def test_the_fastest_that_is_allowed_is_first_and_the_original_is_no_choice() -> None:
    found = [_candidate(ORIGINAL, 1), _candidate(INT8, 2.0), _candidate(OTHER_INT8, 2.4), _candidate(BF16, 1.05)]
    ranked = choose(found, _wanted())
    assert [(str(each.way), each.verdict) for each in ranked] == [
        ("openvino-int8", ""),
        ("onnxruntime-int8", "slower than openvino-int8: 2.00 against 2.40"),
        ("openvino-bf16", "only 1.05 times as fast"),
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"budget": 0.5}, "loses 1.0 points (undecided)"),
        ({"budget": 5, "most_ms": 4.0}, "takes 5.0 ms"),
        ({"budget": 5, "most_mb": 99.0}, "takes 100 MB"),
        ({"budget": 0.5, "accepts_undecided": True}, ""),
    ],
)
def test_what_is_beyond_a_limit_is_out(fields: dict[str, Any], said: str) -> None:
    (only,) = choose([_candidate(ORIGINAL, 1), _candidate(INT8, 2.0, loss=0.01)], _wanted(**fields))
    assert only.verdict == said


def test_what_loses_more_in_any_case_cannot_be_accepted() -> None:
    found = [_candidate(ORIGINAL, 1), _candidate(INT8, 2.0, loss=0.04, low=0.02)]
    assert choose(found, _wanted(accepts_undecided=True))[0].verdict == "loses 4.0 points"


def test_what_this_machine_cannot_run_is_left_out_by_name() -> None:
    wanted = _wanted(precisions=frozenset({"int8", "bf16", "fp16"}))
    assert wanted.compares_candidates
    tried, (fp16, bf16) = ways(wanted, has_int8=True)
    assert tried == [ORIGINAL, INT8]
    assert fp16.startswith("fp16 is left out: on CPUs ONNX Runtime computes FP16 as FP32")
    assert bf16 == "onnxruntime-bf16 is left out: ONNX Runtime has no bf16 for whole networks on CPUs"
