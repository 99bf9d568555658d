"""What happened is what Prometheus reads: in one process, and added up over several."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from topfive.ground import statuses
from topfive.ground.types import Fill, Timings
from topfive.machine.usage import Usage
from topfive.observe.metrics import CONTENT_TYPE, DURATION_BUCKETS, STAGES, Metrics, forget_process

ROOT: Final = Path(__file__).parents[2]


def samples(metrics: Metrics) -> dict[str, float]:
    """Every sample exposed, by its name and labels as in `name{a=1,b=2}`."""
    values = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={text}" for name, text in sorted(sample.labels.items()))
            values[f"{sample.name}{{{labels}}}"] = sample.value
    return values


DESCRIBED: Final = {
    "model": "cat",
    "version": "1",
    "backend": "null",
    "engine": "",
    "precision": "",
    "slots": "2",
    "limit": "8",
}


def some_work(metrics: Metrics) -> None:
    """What one process sees: two answered requests, two that were refused, one batch that failed."""
    model = metrics.model("cat")
    metrics.describe_model(DESCRIBED)
    model.answered(1, Timings(0.004, 0.002, 0.0, 0.006))
    model.answered(3, Timings(0.0, 0.0, 0.4, 0.05))
    metrics.observe_request("/v1/classify", "cat", 200, 0.012)
    metrics.observe_request("/v1/classify", "cat", 200, 0.5)
    metrics.observe_request("/v1/classify", "cat", 504, 3.0)
    metrics.observe_request("/v1/classify", "", 404, 0.0001)
    metrics.rejected.labels("unknown_model").inc()
    model.batch_size.observe(4)
    model.batch_failures.inc()
    metrics.gauge_failures.inc()
    model.publish_fill([Fill(5, 64, 700, 1, 2), Fill(1, 64, 40, 2, 2)])
    metrics.connections_closed.labels("evicted").inc()
    metrics.prepare_waiting.labels("dear").set(4)
    metrics.connections.set(3)
    metrics.in_flight.set(2)
    metrics.in_flight_bytes.set(900)
    metrics.in_flight_bytes_limit.set(4000)
    metrics.grpc_places.set(7)
    metrics.grpc_places_limit.set(64)
    metrics.in_flight_limit.set(512)
    metrics.connections_limit.set(4096)
    metrics.ready.set(1)


def some_use(metrics: Metrics) -> None:
    """What one process uses, as read twice."""
    metrics.publish_process(Usage(cpu_seconds=1.5, resident_bytes=1 << 20))
    metrics.publish_process(Usage(cpu_seconds=2.25, resident_bytes=3 << 20))
    metrics.publish_lost_lines(2)
    metrics.publish_lost_lines(5)
    metrics.prepare_wait.labels("dear").set(1.5)
    metrics.publish_limits(cores=1.5, memory_bytes=3 << 30)
    metrics.publish_store(1.75e9, 3)


WORKED: Final = {
    "topfive_images_total{model=cat}": 4,
    "topfive_stage_duration_seconds_count{model=cat,stage=decode}": 2,
    "topfive_stage_duration_seconds_sum{model=cat,stage=decode}": 0.004,
    "topfive_stage_duration_seconds_sum{model=cat,stage=resize}": 0.002,
    "topfive_stage_duration_seconds_sum{model=cat,stage=queue}": 0.4,
    "topfive_stage_duration_seconds_sum{model=cat,stage=inference}": 0.056,
    "topfive_stage_duration_seconds_bucket{le=0.3,model=cat,stage=queue}": 1,
    "topfive_stage_duration_seconds_bucket{le=0.5,model=cat,stage=queue}": 2,
    "topfive_request_duration_seconds_count{code=200,model=cat,route=/v1/classify}": 2,
    "topfive_request_duration_seconds_sum{code=200,model=cat,route=/v1/classify}": 0.512,
    "topfive_request_duration_seconds_bucket{code=200,le=0.01,model=cat,route=/v1/classify}": 0,
    "topfive_request_duration_seconds_bucket{code=200,le=0.015,model=cat,route=/v1/classify}": 1,
    "topfive_request_duration_seconds_bucket{code=200,le=+Inf,model=cat,route=/v1/classify}": 2,
    "topfive_request_duration_seconds_sum{code=504,model=cat,route=/v1/classify}": 3,
    "topfive_request_duration_seconds_count{code=404,model=,route=/v1/classify}": 1,
    "topfive_rejected_total{reason=unknown_model}": 1,
    "topfive_gauge_failures_total{}": 1,
    "topfive_connections_closed_total{reason=evicted}": 1,
    "topfive_batch_size_count{model=cat}": 1,
    "topfive_batch_size_sum{model=cat}": 4,
    "topfive_batch_size_bucket{le=3.0,model=cat}": 0,
    "topfive_batch_size_bucket{le=4.0,model=cat}": 1,
    "topfive_batch_failures_total{model=cat}": 1,
}
GAUGES: Final = {
    "topfive_queue_items{model=cat}": 6,
    "topfive_queue_items_limit{model=cat}": 128,
    "topfive_queue_bytes{model=cat}": 740,
    "topfive_slots_busy{model=cat}": 3,
    "topfive_slots{model=cat}": 4,
    "topfive_connections_limit{}": 4096,
    "topfive_in_flight_limit{}": 512,
    "topfive_prepare_waiting{lane=dear}": 4,
    "topfive_connections{}": 3,
    "topfive_in_flight{}": 2,
    "topfive_in_flight_bytes{}": 900,
    "topfive_in_flight_bytes_limit{}": 4000,
    "topfive_grpc_places{}": 7,
    "topfive_grpc_places_limit{}": 64,
    "topfive_ready{}": 1,
}
LOST = "topfive_log_lines_lost_total{}"
CPU, MEMORY = "process_cpu_seconds_total{}", "process_resident_memory_bytes{}"
LIMITS: Final = {
    "topfive_cores_limit{}": 1.5,
    "topfive_memory_limit_bytes{}": 3 << 30,
    "topfive_store_last_success_timestamp_seconds{}": 1.75e9,
    "topfive_store_failures{}": 3,
}
"""Of all processes together: each tells the same."""
LONGEST: Final = "topfive_prepare_wait_seconds{lane=dear}"
STARTED: Final = "process_start_time_seconds{}"
INFO: Final = "topfive_model_info{backend=null,engine=,limit=8,model=cat,precision=,slots=2,version=1}"


def times(factor: int, values: Mapping[str, float]) -> dict[str, float]:
    return {name: factor * value for name, value in values.items()}


def assert_exposed(metrics: Metrics, expected: Mapping[str, float]) -> None:
    exposed = samples(metrics)
    assert {name: exposed.get(name) for name in expected} == pytest.approx(dict(expected))


def test_every_value_is_exposed() -> None:
    metrics = Metrics()
    some_work(metrics)
    some_use(metrics)
    assert_exposed(metrics, {**WORKED, **GAUGES, INFO: 1, CPU: 2.25, LOST: 5, MEMORY: 3 << 20, LONGEST: 1.5, **LIMITS})


SHADOW: Final = ("compared", "probability_change", "overlap", "duration_seconds", "dropped", "waiting", "waiting_bytes")
CANARY: Final = ("requests", "duration_seconds", "retried", "share", "rolled_back")
CACHE: Final = ("images", "evictions", "entries", "bytes", "bytes_limit")
ELSEWHERE: Final = ("topfive_tenant_", "topfive_baseline_", "topfive_confidence", "topfive_image_", "topfive_labels")
"""They have tests of their own."""


def test_every_metric_is_there_before_anything_happens() -> None:
    families = {family.name for family in text_string_to_metric_families(Metrics().exposition().decode())}
    families -= {name for name in families if name.endswith("_created")}
    families -= {name for name in families if name.startswith(ELSEWHERE)}
    names = {f"topfive_shadow_{name}" for name in SHADOW} | {f"topfive_canary_{name}" for name in CANARY}
    names |= {f"topfive_cache_{name}" for name in CACHE}
    names |= {name.partition("{")[0] for name in (*WORKED, *GAUGES, *LIMITS, INFO, LOST, CPU, MEMORY, LONGEST, STARTED)}
    for suffix in ("_total", "_bucket", "_count", "_sum"):
        names = {name.removesuffix(suffix) for name in names}
    assert families == names


def test_reasons_count_from_zero_before_anything_happens() -> None:
    """A series that begins with its first refusal would hide it: Prometheus sees no increase in it."""
    found = samples(Metrics())
    reasons = {error.code for error in statuses.HTTP} | {"abandoned", "cancelled", "expired"}
    assert {name: found.get(name) for name in (f"topfive_rejected_total{{reason={each}}}" for each in reasons)} == {
        f"topfive_rejected_total{{reason={each}}}": 0 for each in reasons
    }


def test_every_metric_is_ours_and_says_what_it_is() -> None:
    for family in text_string_to_metric_families(Metrics().exposition().decode()):
        assert family.name.startswith(("topfive_", "process_"))
        assert family.documentation.endswith(".")
    assert CONTENT_TYPE.startswith("text/plain")


def test_a_model_that_is_no_longer_served_is_not_described() -> None:
    """Also after it was described twice; another version still is."""
    metrics = Metrics()
    some_work(metrics)
    other = {
        "model": "cat",
        "version": "2",
        "backend": "null",
        "engine": "",
        "precision": "",
        "slots": "2",
        "limit": "8",
    }
    metrics.describe_model(other)
    metrics.forget_model({**other, "version": "1"})
    assert [name for name in samples(metrics) if name.startswith("topfive_model_info")] == [
        INFO.replace("version=1", "version=2")
    ]


def test_two_in_one_process_do_not_clash() -> None:
    first, second = Metrics(), Metrics()
    some_work(first)
    some_work(first)
    some_work(second)
    assert_exposed(first, {**times(2, WORKED), **GAUGES, INFO: 1})
    assert_exposed(second, {**WORKED, **GAUGES, INFO: 1})


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 64), st.tuples(*[st.floats(0, 20)] * len(STAGES))), max_size=10))
def test_stages_and_images_add_up(answers: list[tuple[int, tuple[float, ...]]]) -> None:
    metrics = Metrics()
    model = metrics.model("cat")
    for images, stages in answers:
        model.answered(images, Timings(*stages))
    assert_exposed(metrics, {"topfive_images_total{model=cat}": sum(images for images, _ in answers)})
    for number, stage in enumerate(STAGES):
        name, durations = f"model=cat,stage={stage}", [stages[number] for _, stages in answers]
        assert_exposed(
            metrics,
            {
                f"topfive_stage_duration_seconds_sum{{{name}}}": sum(durations),
                f"topfive_stage_duration_seconds_bucket{{le=+Inf,{name}}}": len(durations),
                **{
                    f"topfive_stage_duration_seconds_bucket{{le={bound},{name}}}": sum(d <= bound for d in durations)
                    for bound in DURATION_BUCKETS
                },
            },
        )


WORKER: Final = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from topfive.observe.metrics import Metrics
from tests.observe.test_metrics import DESCRIBED, some_use, some_work
metrics = Metrics(shared_folder=sys.argv[1])
some_work(metrics)
some_use(metrics)
if "forget" in sys.argv:
    metrics.forget_model(DESCRIBED)
"""


def start_worker(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)}
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), *arguments], env=environment)


def test_worker_processes_are_added_up(tmp_path: Path) -> None:
    """Their counts outlive them, their processor time too; what they hold now is forgotten when they are gone."""
    workers = [start_worker(tmp_path) for _ in range(2)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    metrics = Metrics(shared_folder=str(tmp_path))
    told = {**times(2, WORKED), **LIMITS, INFO: 1, CPU: 4.5, LOST: 10}
    assert_exposed(metrics, {**told, **times(2, GAUGES), MEMORY: 6 << 20})
    forget_process(workers[0].pid, str(tmp_path))
    assert_exposed(metrics, {**told, **GAUGES, MEMORY: 3 << 20})
    forget_process(workers[1].pid, str(tmp_path))
    assert_exposed(metrics, {**times(2, WORKED), CPU: 4.5, LOST: 10})
    assert not [name for name in samples(metrics) if name in {*GAUGES, *LIMITS, INFO, MEMORY}]


def test_a_model_is_described_as_long_as_a_worker_process_serves_it(tmp_path: Path) -> None:
    """Among several processes, what none serves any more is 0."""
    workers = [start_worker(tmp_path, "forget"), start_worker(tmp_path)]
    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    metrics = Metrics(shared_folder=str(tmp_path))
    assert samples(metrics)[INFO] == 1
    forget_process(workers[1].pid, str(tmp_path))
    assert samples(metrics)[INFO] == 0


def test_of_several_processes_the_latest_start_is_told(tmp_path: Path) -> None:
    """So that one which was replaced shows, though the others run on."""
    tell = (
        "import sys; from topfive.observe.metrics import Metrics; Metrics(shared_folder='')._started.set(sys.argv[1])"
    )
    environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    for moment in ("1000", "3000", "2000"):
        subprocess.run([sys.executable, "-c", tell, moment], cwd=ROOT, env=environment, check=True)
    assert samples(Metrics(shared_folder=str(tmp_path)))[STARTED] == 3000
