"""From two readings of /metrics to a server's own figures: of topfive, of Triton, of a server that tells nothing."""

from __future__ import annotations

import pytest

from loadtests import server_metrics
from loadtests.server_metrics import with_process
from topfive_loadgen.metrics import Reading, parse

OURS = """# TYPE topfive_batch_size histogram
topfive_batch_size_bucket{{model="m",le="1.0"}} {batches}
topfive_batch_size_count{{model="m"}} {batches}
topfive_batch_size_sum{{model="m"}} {images}
topfive_stage_duration_seconds_count{{model="m",stage="queue"}} {requests}
topfive_stage_duration_seconds_sum{{model="m",stage="queue"}} {queued}
topfive_stage_duration_seconds_count{{model="m",stage="decode"}} 0
topfive_stage_duration_seconds_sum{{model="m",stage="decode"}} 0
process_cpu_seconds_total {cpu}
process_resident_memory_bytes {memory}
"""
TRITON = """# TYPE nv_inference_request_success counter
nv_inference_request_success{{model="ensemble",version="1"}} {requests}
nv_inference_request_success{{model="resize",version="1"}} {requests}
nv_inference_request_success{{model="classify",version="1"}} {requests}
# TYPE nv_inference_count counter
nv_inference_count{{model="resize",version="1"}} {requests}
nv_inference_exec_count{{model="resize",version="1"}} {requests}
nv_inference_count{{model="classify",version="1"}} {requests}
nv_inference_exec_count{{model="classify",version="1"}} {batches}
nv_inference_queue_duration_us{{model="ensemble",version="1"}} 12
nv_inference_queue_duration_us{{model="resize",version="1"}} {queued}
nv_inference_queue_duration_us{{model="classify",version="1"}} {queued}
nv_inference_compute_infer_duration_us{{model="ensemble",version="1"}} 0
nv_inference_compute_infer_duration_us{{model="resize",version="1"}} {queued}
nv_inference_compute_infer_duration_us{{model="classify",version="1"}} {queued}
"""


def ours(at: float, **values: float) -> Reading:
    defaults = {"batches": 0, "images": 0, "requests": 0, "queued": 0, "cpu": 0, "memory": 1e8}
    return parse(OURS.format(**{**defaults, **values}), at=at)


def test_rates_and_means_are_of_the_time_between() -> None:
    before = ours(10.0, batches=5, images=5, requests=5, queued=50.0, cpu=7.0)
    after = ours(14.0, batches=15, images=45, requests=45, queued=50.4, cpu=13.0, memory=2e8)
    found = server_metrics.between([before, after], start=10.0, end=14.0)
    assert found is not None
    assert found.cpu_cores == pytest.approx(1.5)
    assert found.mean_batch == pytest.approx(4.0)
    assert found.stages == {"queue": pytest.approx(0.01)}
    assert found.resident_bytes == 2e8


def test_the_most_memory_between_counts_and_not_what_was_before() -> None:
    readings = [ours(0.0, memory=9e8), ours(1.0), ours(2.0, memory=3e8), ours(3.0)]
    found = server_metrics.between(readings, start=1.1, end=2.9)
    assert found is not None
    assert found.resident_bytes == 3e8


def test_fewer_than_two_readings_say_nothing() -> None:
    assert server_metrics.between([], start=0.0, end=1.0) is None
    assert server_metrics.between([ours(0.0)], start=0.0, end=1.0) is None
    assert server_metrics.between([ours(0.0), ours(5.0)], start=9.0, end=10.0) is None


def test_what_triton_tells_is_added_up_over_the_models_that_a_request_passes() -> None:
    """The ensemble around them counts the same requests, but runs nothing."""
    before = parse(TRITON.format(requests=0, batches=0, queued=0), at=0.0)
    after = parse(TRITON.format(requests=100, batches=25, queued=200_000), at=2.0)
    found = server_metrics.between([before, after], start=0.0, end=2.0)
    assert found is not None
    assert found.mean_batch == pytest.approx(4.0)
    assert found.stages == {"queue": pytest.approx(0.004), "inference": pytest.approx(0.004)}
    assert (found.cpu_cores, found.resident_bytes) == (None, None)


def test_what_is_known_of_a_process_stands_in_for_what_its_server_does_not_tell() -> None:
    first = with_process(parse("", at=0.0), cpu_seconds=1.0, resident_bytes=5e8)
    second = with_process(parse("", at=2.0), cpu_seconds=4.0, resident_bytes=4e8)
    found = server_metrics.between([first, second], start=0.0, end=2.0)
    assert found is not None
    assert (found.cpu_cores, found.resident_bytes) == (1.5, 5e8)
