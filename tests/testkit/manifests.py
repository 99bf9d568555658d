"""deploy/kubernetes/ as a cluster would get it: rendered by kubectl, each overlay with each way to bring models.

What lives here: rendering, finding objects, the schemas of Kubernetes and of the operators. What does not: what must be
so.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jsonschema
import jsonschema.validators
import pytest
import yaml
from referencing import Registry, Resource

from tests.testkit.serving_process import ROOT

Object = dict[str, Any]

FOLDER: Final = ROOT / "deploy" / "kubernetes"
MODELS: Final = ("models-pvc", "models-image", "models-fetch")
EMBEDDED, ON_TRITON, KSERVE = "embedded-cpu", "triton-gpu", "kserve"
VARIANTS: Final = (
    EMBEDDED,
    *(f"{overlay} {models}" for overlay in (EMBEDDED, ON_TRITON) for models in MODELS),
    KSERVE,
)
"""Overlays, and which component brings their models, where that is theirs to choose."""
VERSIONS: Final = ("1.33.0", "1.35.0", "1.37.0")
_LEAST_KUSTOMIZE: Final = 5


def _kubectl() -> str | None:
    """One with a kustomize that knows components: the project's, or the system's."""
    for found in (str(ROOT / ".venv" / "bin" / "kubectl"), shutil.which("kubectl")):
        if found and Path(found).exists():
            said = subprocess.run([found, "version", "--client"], capture_output=True, text=True, check=False).stdout
            version = re.search(r"Kustomize Version: v(\d+)", said)
            if version and int(version[1]) >= _LEAST_KUSTOMIZE:
                return found
    return None


KUBECTL: Final = _kubectl()
needs_kubectl: Final = pytest.mark.skipif(
    KUBECTL is None, reason=f"there is no kubectl with kustomize {_LEAST_KUSTOMIZE} or newer: make setup-kubectl"
)


def kubectl(*arguments: str, given: str = "") -> str:
    """What kubectl prints; it must be content. It finds no cluster but one that the arguments name."""
    command = [str(KUBECTL), "--kubeconfig=/dev/null", *arguments]
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def rendered(variant: str) -> str:
    """The manifests of an overlay, with this component for its models instead of its own."""
    overlay, _, models = variant.partition(" ")
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "kubernetes"
        shutil.copytree(FOLDER, copy)
        file = copy / "overlays" / overlay / "kustomization.yaml"
        if models:
            text, count = re.subn(r"(?m)^  - \.\./\.\./components/models-.*\n", "", file.read_text(encoding="utf-8"))
            assert count <= 1
            file.write_text(text.replace("components:\n", f"components:\n  - ../../components/{models}\n"), "utf-8")
        return kubectl("kustomize", str(file.parent))


@functools.cache
def objects(variant: str) -> tuple[Object, ...]:
    """Each object of `rendered`; not to be changed."""
    return tuple(yaml.load_all(rendered(variant), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def the(variant: str, kind: str, name: str = "topfive") -> Object:
    """The object of this kind and name."""
    [found] = [each for each in objects(variant) if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods(variant: str) -> Iterator[tuple[Object, Object]]:
    """Labels and specification of the pods of each Deployment, those that KServe will make included."""
    for each in objects(variant):
        if each["kind"] == "Deployment":
            template = each["spec"]["template"]
            yield template["metadata"]["labels"], template["spec"]
        elif each["kind"] == "ServingRuntime":
            yield each["spec"]["labels"], pod_of_kserve(each, the(variant, "InferenceService", "classifier"))


def pod_of_kserve(runtime: Object, service: Object) -> Object:
    """The pod that KServe makes of the two, without what it adds by itself."""
    own = {"model", "minReplicas", "maxReplicas", "deploymentStrategy"}
    predictor = {name: value for name, value in service["spec"]["predictor"].items() if name not in own}
    return predictor | {name: runtime["spec"][name] for name in ("containers", "volumes")}


def serving(variant: str) -> Object:
    """The container of the service."""
    [found] = [
        container for labels, pod in pods(variant) if labels["app.kubernetes.io/name"] == "topfive"
        for container in pod["containers"]
    ]  # fmt: skip
    return dict(found)


def environment(container: Object) -> dict[str, str]:
    """The variables that a container sets."""
    return {each["name"]: each["value"] for each in container.get("env", [])}


def flags(container: Object) -> dict[str, str]:
    """The flags `--name=value` of a container's program."""
    return dict(each.removeprefix("--").split("=") for each in container["args"] if each.startswith("--"))


@functools.cache
def schema(version: str, kind: str, group: str) -> Any:
    """A validator of a kind that Kubernetes has in this version, to which an unknown field is an error."""
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    own = json.loads((folder / f"{kind.lower()}-{group}.json").read_text(encoding="utf-8"))
    return jsonschema.validators.Draft202012Validator(own, registry=_definitions(version))


@functools.cache
def _definitions(version: str) -> Any:
    folder = resources.files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}-local-strict"
    text = (folder / "_definitions.json").read_text(encoding="utf-8")
    return Resource.from_contents(json.loads(text)) @ Registry()


@functools.cache
def crd(kind: str) -> Any:
    """A validator of a kind that an operator brings: of the fields that are used here, and no others."""
    text = (ROOT / "tests" / "deploy" / "crds" / f"{kind.lower()}.yaml").read_text(encoding="utf-8")
    return jsonschema.validators.Draft202012Validator(yaml.safe_load(text))


def of_kubernetes(each: Object) -> str | None:
    """The group and version of a kind of Kubernetes' own, as its schemas are named; None for an operator's."""
    group, _, version = each["apiVersion"].rpartition("/")
    if "." in group and not group.endswith(".k8s.io"):
        return None
    return f"{group.split('.')[0]}-{version}" if group else version
