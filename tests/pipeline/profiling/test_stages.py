"""An average request is what the service's own metrics say of it, between two looks."""

from __future__ import annotations

import pytest

from topfive_loadgen.metrics import Difference, Reading, parse
from topfive_pipeline.profiling.stages import Stages, busiest_model, stages_of


def exposition(*, answered: int, refused: int = 0, at: float = 0.0, busy: int = 2) -> Reading:
    """Of a service that has answered so many requests of 20 ms: 2 decode, 3 resize, 5 queue, 8 inference."""
    lines = [
        f'topfive_request_duration_seconds_count{{code="200",model="m",route="/v1/classify"}} {answered}',
        f'topfive_request_duration_seconds_sum{{code="200",model="m",route="/v1/classify"}} {0.02 * answered}',
        f'topfive_request_duration_seconds_count{{code="429",model="m",route="/v1/classify"}} {refused}',
        f'topfive_request_duration_seconds_sum{{code="429",model="m",route="/v1/classify"}} {refused}',
        f'topfive_rejected_total{{reason="queue_full"}} {refused}',
        f'topfive_images_total{{model="m"}} {2 * answered}',
        f'topfive_batch_size_count{{model="m_classify"}} {answered}',
        f'topfive_batch_size_sum{{model="m_classify"}} {2 * answered}',
        'topfive_batch_size_count{model="other"} 1000',
        'topfive_slots{model="m_classify"} 4',
        f'topfive_slots_busy{{model="m_classify"}} {busy}',
        'topfive_queue_items{model="m_classify"} 3',
        "topfive_cores_limit 2",
        'topfive_model_info{model="m_classify",engine="onnxruntime",precision="int8",slots="4"} 1',
    ]
    for stage, seconds in (("decode", 0.002), ("resize", 0.003), ("queue", 0.005), ("inference", 0.008)):
        lines.append(f'topfive_stage_duration_seconds_sum{{model="m",stage="{stage}"}} {seconds * answered}')
        lines.append(f'topfive_stage_duration_seconds_count{{model="m",stage="{stage}"}} {answered}')
    return parse("\n".join([*lines, ""]), at=at)


def found() -> Stages:
    change = Difference(exposition(answered=100), exposition(answered=300, refused=7, at=10))
    stages = stages_of(change, [exposition(answered=1), exposition(answered=2, busy=4)], model="m")
    assert stages is not None
    return stages


def test_the_rest_is_what_is_in_no_stage() -> None:
    stages = found()
    expected = {"decode": 0.002, "resize": 0.003, "queue": 0.005, "inference": 0.008, "rest": 0.002}
    assert stages.seconds == pytest.approx(expected)
    assert list(stages.seconds) == list(expected)
    assert stages.request == pytest.approx(0.02)
    assert stages.work == pytest.approx(0.015)
    assert stages.share("inference") == pytest.approx(0.008 / 0.015)


def test_rates_batches_and_gauges_are_of_the_window() -> None:
    stages = found()
    assert (stages.rate, stages.images, stages.batch) == pytest.approx((20, 40, 2))
    assert (stages.slots, stages.slots_busy, stages.busy_share, stages.queued) == pytest.approx((4, 3, 0.75, 3))
    assert (stages.engine, stages.precision, stages.cores_limit) == ("onnxruntime", "int8", 2)
    assert stages.refused == {"429": 7, "queue_full": 7}
    assert stages.in_flight is None


def test_without_an_answer_there_are_no_stages() -> None:
    change = Difference(exposition(answered=100), exposition(answered=100, refused=3, at=1))
    assert stages_of(change, [], model="m") is None
    assert busiest_model(change) == "m"
    assert busiest_model(Difference(parse(""), parse(""))) == ""
