"""deploy/kubernetes/ as it is rendered: what one object says of another, or of the service, is so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from tests.testkit.container_files import STAGES, image_environment
from tests.testkit.manifests import (
    EMBEDDED,
    FOLDER,
    MODELS,
    ON_TRITON,
    VARIANTS,
    environment,
    flags,
    kubectl,
    needs_kubectl,
    objects,
    pods,
    serving,
)
from tests.testkit.serving_process import ROOT
from topfive.config.environment import load_settings

pytestmark = needs_kubectl

STOP_MARGIN_SECONDS: Final = 2.0
"""What a worker process may need beyond its own bounds."""
UNITS: Final = {"Mi": 1 << 20, "Gi": 1 << 30}
each_variant = pytest.mark.parametrize("variant", VARIANTS)


def test_every_overlay_and_every_component_is_rendered_here() -> None:
    assert {variant.partition(" ")[0] for variant in VARIANTS} == {
        each.name for each in (FOLDER / "overlays").iterdir()
    }
    bring = {each.name for each in (FOLDER / "components").iterdir()} - {"monitoring", "autoscaling"}
    assert bring == set(MODELS)


@each_variant
def test_everything_is_in_one_namespace_which_admits_no_pod_with_more_rights(variant: str) -> None:
    [space] = [each for each in objects(variant) if each["kind"] == "Namespace"]
    name = space["metadata"]["name"]
    assert {each["metadata"]["namespace"] for each in objects(variant) if each is not space} == {name}
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@each_variant
def test_every_container_has_the_least_rights_and_bounds(variant: str) -> None:
    user, group = str(STAGES["cpu"].last("USER")).split(":")
    for _, pod in pods(variant):
        rights = pod["securityContext"]
        assert rights["runAsNonRoot"] is True
        assert (rights["runAsUser"], rights["runAsGroup"], rights["fsGroup"]) == (int(user), int(group), int(group))
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod.keys().isdisjoint({"hostNetwork", "hostPID", "hostIPC"})
        for container in (*pod["containers"], *pod.get("initContainers", [])):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            bounds = container["resources"]
            assert bounds["requests"] == bounds["limits"]
            assert re.fullmatch(r"[1-9]\d*", bounds["limits"]["cpu"]), "threads are as many as whole cores"
            assert container["imagePullPolicy"] == "IfNotPresent"


@each_variant
def test_every_pod_has_three_probes_and_ports_that_they_ask(variant: str) -> None:
    for _, pod in pods(variant):
        [container] = pod["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container[probe].get("httpGet") or container[probe]["grpc"]
            assert asked["port"] in {*ports, *ports.values()}
        assert container["livenessProbe"]["httpGet"]["path"] == "/v2/health/live"


@each_variant
def test_what_serves_takes_its_settings(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the image and those of the pod: the service refuses one that it does not know."""
    container = serving(variant)
    told = image_environment(STAGES["cpu"]) | environment(container)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert [port["containerPort"] for port in container["ports"]] == [settings.port, settings.grpc_port]
    on_triton = variant.startswith(ON_TRITON)
    assert settings.backend == ("triton" if on_triton else "embedded")
    assert settings.triton_url == ("dns:///triton:8001" if on_triton else None)
    polls = variant == f"{EMBEDDED} models-pvc"
    assert settings.model_control == ("poll" if polls else "none")


@each_variant
def test_a_pod_is_given_the_time_that_it_may_take_to_stop(variant: str) -> None:
    for _, pod in pods(variant):
        [container] = pod["containers"]
        told = image_environment(STAGES["cpu"]) | environment(container)
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if "args" in container:  # Triton
            needed = float(flags(container)["exit-timeout-secs"])
        else:
            needed = float(told["TOPFIVE_DRAIN_GRACE_SECONDS"]) + float(told["TOPFIVE_SHUTDOWN_SECONDS"])
        assert pod["terminationGracePeriodSeconds"] >= before + needed + STOP_MARGIN_SECONDS


@each_variant
def test_memory_holds_what_the_bounds_let_in(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the rule of docs/kubernetes.md, which was measured."""
    container = serving(variant)
    for name, value in (image_environment(STAGES["cpu"]) | environment(container)).items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    [shared] = [
        each["emptyDir"]["sizeLimit"] for _, pod in pods(variant) for each in pod["volumes"] if each["name"] == "tmp"
    ][:1]
    needed = (
        0.3e9
        + settings.max_in_flight_bytes
        + 1.25 * settings.grpc_max_message_bytes * settings.grpc_max_requests
        + 0.2e9 * int(container["resources"]["limits"]["cpu"])
        + size(shared)
    )
    assert size(container["resources"]["limits"]["memory"]) >= needed


def size(text: str) -> int:
    return int(text[:-2]) * UNITS[text[-2:]]


@each_variant
def test_what_is_written_to_is_a_bounded_volume_and_models_are_read_only(variant: str) -> None:
    for _, pod in pods(variant):
        volumes = {each["name"]: each for each in pod["volumes"]}
        used = set()
        for container in (*pod["containers"], *pod.get("initContainers", [])):
            for mount in container["volumeMounts"]:
                used.add(mount["name"])
                if mount["mountPath"] == "/models" and container in pod["containers"]:
                    assert mount["readOnly"] is True
                if not mount.get("readOnly"):
                    assert volumes[mount["name"]]["emptyDir"]["sizeLimit"]
        assert used == volumes.keys()


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant.startswith(ON_TRITON)])
def test_front_ends_and_tritons_read_the_same_models(variant: str) -> None:
    found = [
        [volume for volume in pod["volumes"] if volume["name"] == "models"] + pod.get("initContainers", [])
        for _, pod in pods(variant)
    ]
    assert len(found) == 2
    assert found[0] == found[1]
    assert found[0]


@pytest.mark.parametrize("variant", [variant for variant in VARIANTS if variant.endswith("models-fetch")])
def test_models_are_fetched_by_our_own_command_from_where_the_config_map_says(variant: str) -> None:
    """Another address makes another name, and so a rollout."""
    [config] = [each for each in objects(variant) if each["kind"] == "ConfigMap"]
    assert re.fullmatch(r"topfive-models-[0-9a-z]{10}", config["metadata"]["name"])
    for _, pod in pods(variant):
        [fetch] = pod["initContainers"]
        assert fetch["args"] == ["fetch", "$(MODELS_URL)", "/models"]
        assert fetch["envFrom"][0]["configMapRef"]["name"] == config["metadata"]["name"]
        assert fetch["image"] == serving(variant)["image"]
    assert re.match(r"\w+://", config["data"]["MODELS_URL"])


@each_variant
def test_selectors_find_pods_and_nothing_else_of_ours(variant: str) -> None:
    made = [labels for labels, _ in pods(variant)]
    for each in objects(variant):
        wanted = each.get("spec", {}).get("podSelector" if each["kind"] == "NetworkPolicy" else "selector")
        if wanted and each["kind"] != "ServiceMonitor":
            wanted = wanted.get("matchLabels", wanted)
            assert sum(wanted.items() <= labels.items() for labels in made) == 1, each["kind"]
    for labels, pod in pods(variant):
        for constraint in pod["topologySpreadConstraints"]:
            assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()


def test_a_folder_of_ones_own_as_the_page_has_it(tmp_path: Path) -> None:
    """With another namespace, image and address of models; kustomize changes all but PromQL, which the page says."""
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    whole, address = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL))
    (tmp_path / "topfive").symlink_to(ROOT)
    own = tmp_path / "own"
    own.mkdir()
    fetched = [each.replace("models-pvc", "models-fetch") for each in whole["components"]]
    changed = whole | address | {"components": fetched, "namespace": "mine"}
    (own / "kustomization.yaml").write_text(yaml.safe_dump(changed), encoding="utf-8")
    made = list(yaml.safe_load_all(kubectl("kustomize", str(own))))
    assert {each["metadata"].get("namespace", "mine") for each in made} == {"mine"}
    named = {each["kind"]: each for each in made}
    assert named["Namespace"]["metadata"]["name"] == "mine"
    [config] = [each for each in objects(f"{EMBEDDED} models-fetch") if each["kind"] == "ConfigMap"]
    assert named["ConfigMap"]["data"] == {"MODELS_URL": "s3://my-bucket/models"} != config["data"]
    assert named["ConfigMap"]["metadata"]["name"] != config["metadata"]["name"]  # which is a rollout
    pod = named["Deployment"]["spec"]["template"]["spec"]
    for container in (*pod["containers"], *pod["initContainers"]):
        assert container["image"] == f"{whole['images'][0]['newName']}:{whole['images'][0]['newTag']}"
