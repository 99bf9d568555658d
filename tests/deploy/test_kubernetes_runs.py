"""What deploy/kubernetes/ says of the service is so: how it runs, what probes answer, what it is scaled on."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
import yaml

from tests.testkit.container_files import STAGES, image_environment
from tests.testkit.manifests import EMBEDDED, ON_TRITON, Object, environment, needs_kubectl, objects, the
from tests.testkit.prometheus import needs_prometheus, promtool
from tests.testkit.serving_process import READY, ROOT, ServingProcess
from topfive.grpc.protos import HealthCheckRequest, HealthCheckResponse

pytestmark = needs_kubectl

ON_A_READ_ONLY_DISK: Final = ("env", "-u", "HOME", "-u", "TMPDIR", "sh", "-c", 'ulimit -f 0 && exec "$@"', "sh")
"""Starts a process to which every write to a file is an error, and which has no home."""
SECONDS: Final = 30.0
PROBES: Final = ("startupProbe", "livenessProbe", "readinessProbe")


def container() -> Object:
    """That of the pods of the embedded overlay."""
    [found] = the(EMBEDDED, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.fixture(scope="module")
def pod() -> Iterator[ServingProcess]:
    """The service with the settings of image and pod, but for its address, free ports and the place of its models."""
    told = image_environment(STAGES["cpu"]) | environment(container())
    here = {"TOPFIVE_HOST": "127.0.0.1", "TOPFIVE_MODEL_REPOSITORY": str(ROOT / "model_repository")}
    settings = {name: value for name, value in told.items() if name.startswith("TOPFIVE_")} | here
    with ServingProcess(environment=settings, through=ON_A_READ_ONLY_DISK) as process:
        process.wait_for_log(READY)
        yield process
        process.signal(signal.SIGTERM)  # a second one ends the grace
        process.wait_for_log("draining")


def is_content(probe: Object, process: ServingProcess) -> bool:
    """Whether a kubelet would be, with this answer."""
    if "httpGet" in probe:
        return 200 <= process.ask("GET", probe["httpGet"]["path"]).status < 400
    with grpc.insecure_channel(process.grpc_address) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        said = check(HealthCheckRequest(service=probe["grpc"].get("service", "")), timeout=SECONDS).status
        return bool(said == HealthCheckResponse.ServingStatus.Value("SERVING"))


def test_the_pod_serves_without_a_home_or_a_write_and_every_probe_is_content(pod: ServingProcess, photo: bytes) -> None:
    for probe in PROBES:
        assert is_content(container()[probe], pod), probe
    assert pod.classify(photo, "image/jpeg").labels[0] == "espresso"


@pytest.fixture
def photo() -> bytes:
    return (ROOT / "docs" / "coffee.jpg").read_bytes()


def test_a_pod_that_drains_gets_no_more_requests_and_is_not_restarted() -> None:
    with ServingProcess("--backend", "null", "--drain-grace-seconds", "100") as process:
        process.wait_for_log(READY)
        process.signal(signal.SIGTERM)
        process.wait_for_log("the service is draining")
        content = {probe: is_content(container()[probe], process) for probe in PROBES}
    assert content == {"startupProbe": True, "livenessProbe": True, "readinessProbe": False}


def triggers() -> dict[str, str]:
    """The query of each trigger in any overlay, by the trigger's name."""
    return {
        trigger["name"]: trigger["metadata"]["query"]
        for variant in (EMBEDDED, ON_TRITON)
        for each in objects(variant)
        if each["kind"] == "ScaledObject"
        for trigger in each["spec"]["triggers"]
    }


def test_every_metric_that_is_scaled_on_is_exposed_with_the_labels_that_are_asked_for(
    pod: ServingProcess, photo: bytes
) -> None:
    """Those that Prometheus adds aside: `job` and `namespace`."""
    assert pod.classify(photo, "image/jpeg").status == 200
    exposed = pod.ask("GET", "/metrics").body.decode()
    asked = [found for query in triggers().values() for found in re.findall(r"(\w+)\{([^}]*)\}", query)]
    assert len(asked) >= 6
    for name, selector in asked:
        wanted = [each for each in selector.split(", ") if not each.startswith(("job=", "namespace="))]
        lines = re.findall(rf"^{name}(?:\{{(.*)\}})? \S+$", exposed, re.MULTILINE)
        assert any(all(each in line.split(",") for each in wanted) for line in lines), (name, wanted)
        assert {'job="topfive"', 'namespace="topfive"'} <= set(selector.split(", "))


TWO_PODS: Final = [f'job="topfive", namespace="topfive", pod="{pod}"' for pod in "ab"]


def series(name: str, first: str, second: str, *more: str) -> list[dict[str, str]]:
    """A metric of two pods, in promtool's notation."""
    return [
        {"series": f"{name}{{{', '.join([labels, *more])}}}", "values": values}
        for labels, values in zip(TWO_PODS, (first, second), strict=True)
    ]


SLOTS: Final = series("topfive_slots", "2x20", "2x20", 'model="m"')
WAITS: Final = [
    each
    for le, values in (("0.01", "0+50x20"), ("0.05", "0+100x20"), ("+Inf", "0+100x20"))
    for each in series("topfive_stage_duration_seconds_bucket", values, values, 'stage="queue"', f'le="{le}"')
]
IDLE: Final = [each | {"values": "100x20"} for each in WAITS]
BUSY: Final = series("topfive_slots_busy", "1x20", "0x20")
CORES: Final = series("topfive_cores_limit", "2x20", "2x20")
CASES: Final = {
    "one of four slots is busy on average": ("busy-slots", [*SLOTS, *BUSY], 0.25),
    "no pod is scraped: no number": ("busy-slots", [], None),
    "nine in ten wait for less than": ("queue-wait", [*SLOTS, *WAITS], 0.042),
    "nobody waits without traffic": ("queue-wait", [*SLOTS, *IDLE], 0),
    "nobody waits who never came": ("queue-wait", SLOTS, 0),
    "no pod is scraped: no wait": ("queue-wait", [], None),
    "one core of four": ("cores", [*CORES, *series("process_cpu_seconds_total", "0+15x20", "0x20")], 0.25),
    "of each pod the longer wait": (
        "decode-wait",
        [
            *series("topfive_prepare_wait_seconds", "0x20", "0x20", 'lane="small"'),
            *series("topfive_prepare_wait_seconds", "0.1x20", "0.3x20", 'lane="dear"'),
        ],
        0.2,
    ),
}


@needs_prometheus
def test_each_query_finds_one_number_or_none_where_nothing_is_known(tmp_path: Path) -> None:
    queries = triggers()
    assert {name for name, _, _ in CASES.values()} == queries.keys()
    tests: list[dict[str, Any]] = [
        {
            "interval": "15s",
            "name": title,
            "input_series": given,
            "promql_expr_test": [
                {
                    "expr": queries[name],
                    "eval_time": "4m",
                    "exp_samples": [] if value is None else [{"labels": "{}", "value": value}],
                }
            ],
        }
        for title, (name, given, value) in CASES.items()
    ]
    file = tmp_path / "tests.yml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "15s", "tests": tests}), encoding="utf-8")
    promtool("test", "rules", file)
