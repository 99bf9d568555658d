"""The overlays of deploy/kubernetes/: what is scaled, scraped, called and let through, on Triton and by KServe too."""

from __future__ import annotations

from typing import Final

import pytest

from tests.testkit.container_files import KNOBS
from tests.testkit.manifests import (
    EMBEDDED,
    KSERVE,
    ON_TRITON,
    VARIANTS,
    environment,
    flags,
    needs_kubectl,
    objects,
    pods,
    serving,
    the,
)

pytestmark = needs_kubectl

DNS_SECONDS: Final = 30.0
"""For so long a cluster's DNS, or gRPC, may still name a pod that has left."""
each_variant = pytest.mark.parametrize("variant", VARIANTS)


@each_variant
def test_a_rollout_a_drain_and_a_scaling_take_one_pod_at_a_time(variant: str) -> None:
    budgets = [each["spec"] for each in objects(variant) if each["kind"] == "PodDisruptionBudget"]
    assert len(budgets) == len(list(pods(variant)))
    assert {budget["maxUnavailable"] for budget in budgets} == {1}
    scaled = [each["spec"] for each in objects(variant) if each["kind"] == "ScaledObject"]
    for spec in scaled:
        down = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]
        assert down["stabilizationWindowSeconds"] >= 300
        [policy] = down["policies"]
        assert (policy["type"], policy["value"]) == ("Pods", 1)
        # KServe makes its Deployment of the pods of topfive.
        scaled_app = "triton" if spec["scaleTargetRef"]["name"] == "triton" else "topfive"
        [grace] = [
            pod["terminationGracePeriodSeconds"]
            for labels, pod in pods(variant)
            if labels["app.kubernetes.io/name"] == scaled_app
        ]
        assert policy["periodSeconds"] >= grace
        assert 1 < spec["minReplicaCount"] < spec["maxReplicaCount"]


@each_variant
def test_what_is_scaled_is_there_and_has_no_number_of_its_own(variant: str) -> None:
    targets = {each["spec"]["scaleTargetRef"]["name"] for each in objects(variant) if each["kind"] == "ScaledObject"}
    deployments = {each["metadata"]["name"]: each for each in objects(variant) if each["kind"] == "Deployment"}
    if variant == KSERVE:
        service = the(variant, "InferenceService", "classifier")
        assert targets == {f"{service['metadata']['name']}-predictor"}
        assert service["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == "external"
    else:
        assert targets == deployments.keys()
    assert [name for name, each in deployments.items() if "replicas" in each["spec"]] == []


def test_kserve_runs_the_same_container_as_the_deployment() -> None:
    """But for its name, and for where KServe puts the models."""
    here, there = serving(KSERVE), serving(EMBEDDED)
    for name, port in zip(("http", "grpc"), here["ports"], strict=True):
        assert (port["name"], port.pop("protocol")) == (name, "TCP")
    added = {"name": "TOPFIVE_MODEL_REPOSITORY", "value": "/mnt/models"}
    assert here | {"name": "topfive"} == there | {"env": [*there["env"], added]}
    runtime, service = the(KSERVE, "ServingRuntime"), the(KSERVE, "InferenceService", "classifier")
    model = service["spec"]["predictor"]["model"]
    assert model["runtime"] == runtime["metadata"]["name"]
    assert model["protocolVersion"] in runtime["spec"]["protocolVersions"]
    formats = [{name: each[name] for name in ("name", "version")} for each in runtime["spec"]["supportedModelFormats"]]
    assert model["modelFormat"] in formats
    [(_, ours)], [(_, its)] = pods(EMBEDDED), pods(KSERVE)
    assert its | {"containers": []} == ours | {"containers": []}
    names = {each["metadata"]["name"] for each in objects(KSERVE) if each["kind"] == "Service"}
    assert names.isdisjoint({service["metadata"]["name"], f"{service['metadata']['name']}-predictor"})


@each_variant
def test_prometheus_scrapes_each_pod_once_and_knows_it_by_the_labels_of_dashboards_and_alerts(variant: str) -> None:
    """KServe gives its own Services the labels of pods and InferenceService: those must not be scraped too."""
    monitor = the(variant, "ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"]
    scraped = [
        (each["metadata"]["labels"][monitor["jobLabel"]], endpoint["port"], endpoint["path"])
        for each in objects(variant)
        if each["kind"] == "Service" and wanted.items() <= each["metadata"].get("labels", {}).items()
        for endpoint in monitor["endpoints"]
        if endpoint["port"] in {port["name"] for port in each["spec"]["ports"]}
    ]
    on_triton = variant.startswith(ON_TRITON)
    assert scraped == [("topfive", "http", "/metrics")] + [("triton", "metrics", "/metrics")] * on_triton
    for labels, _ in pods(variant):
        assert not wanted.items() <= labels.items()
    for each in objects(variant):
        if each["kind"] in {"ServingRuntime", "InferenceService"}:
            assert not wanted.items() <= each["metadata"]["labels"].items()


@each_variant
def test_a_network_policy_lets_out_only_what_the_variant_needs(variant: str) -> None:
    """DNS; and Triton, or an object store, where there is one."""
    policy = the(variant, "NetworkPolicy")["spec"]
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    out = {port["port"] for rule in policy["egress"] for port in rule["ports"]}
    needs = {53}
    needs |= {8001} if variant.startswith(ON_TRITON) else set()
    needs |= {443} if variant.endswith("models-fetch") or variant == KSERVE else set()
    assert out == needs
    assert all(rule["from"] and rule["ports"] for rule in policy["ingress"])
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == {"http", "grpc"}


def test_only_front_ends_call_a_triton_and_only_prometheus_asks_for_its_metrics() -> None:
    policy = the(ON_TRITON, "NetworkPolicy", "triton")["spec"]
    calls, scrapes = policy["ingress"]
    [front_end] = calls["from"]
    assert front_end["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "topfive"}
    assert [port["port"] for port in calls["ports"]] == ["grpc"]
    assert [port["port"] for port in scrapes["ports"]] == ["metrics"]
    service = the(ON_TRITON, "Service", "triton")
    assert service["spec"]["clusterIP"] == "None"
    url = environment(serving(ON_TRITON))["TOPFIVE_TRITON_URL"]
    assert url in {f"dns:///{service['metadata']['name']}:{port['port']}" for port in service["spec"]["ports"]}


def test_the_fewest_front_ends_can_fill_the_most_tritons() -> None:
    """With two calls for each, so that none waits for the network."""
    slots = int(environment(serving(ON_TRITON))["TOPFIVE_TRITON_SLOTS"])
    fewest = the(ON_TRITON, "ScaledObject", "topfive-front-ends")["spec"]["minReplicaCount"]
    assert slots * fewest >= 2 * the(ON_TRITON, "ScaledObject", "triton")["spec"]["maxReplicaCount"]


def test_triton_is_the_one_that_the_stack_of_containers_has() -> None:
    [triton] = the(ON_TRITON, "Deployment", "triton")["spec"]["template"]["spec"]["containers"]
    assert triton["image"] == KNOBS["STACK_TRITON_IMAGE"]


def test_a_triton_stops_only_when_every_front_end_has_left_it() -> None:
    """Front ends ask for addresses when a connection ends: after its age and a tenth, and once more if DNS was late."""
    [triton] = the(ON_TRITON, "Deployment", "triton")["spec"]["template"]["spec"]["containers"]
    age_seconds = float(flags(triton)["grpc-max-connection-age"]) / 1000
    assert age_seconds > DNS_SECONDS, "gRPC asks no more often"
    assert triton["lifecycle"]["preStop"]["sleep"]["seconds"] >= 1.1 * age_seconds + DNS_SECONDS
