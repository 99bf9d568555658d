"""deploy/kubernetes/ as it is rendered: every object of every overlay is one that Kubernetes and the operators take."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from threading import Thread
from typing import Any

import pytest
import yaml

from tests.testkit.manifests import (
    EMBEDDED,
    KSERVE,
    ON_TRITON,
    VARIANTS,
    VERSIONS,
    Object,
    crd,
    kubectl,
    needs_kubectl,
    objects,
    of_kubernetes,
    pods,
    rendered,
    schema,
    the,
)

pytestmark = needs_kubectl

each_variant = pytest.mark.parametrize("variant", VARIANTS)


@each_variant
@pytest.mark.parametrize("version", VERSIONS)
def test_three_versions_of_kubernetes_take_every_object(variant: str, version: str) -> None:
    """By its own schemas, to which an unknown field is an error; KServe's pods are judged as a Deployment's."""
    judged = 0
    for each in (*objects(variant), *as_deployments(variant)):
        if group := of_kubernetes(each):
            errors = list(schema(version, each["kind"], group).iter_errors(each))
            assert [f"{each['kind']}: {'.'.join(map(str, error.path))}: {error.message}" for error in errors] == []
            judged += 1
    assert judged >= 6


def as_deployments(variant: str) -> Iterator[Object]:
    for labels, pod in pods(variant):
        yield {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "pod"},
            "spec": {"selector": {}, "template": {"metadata": {"labels": labels}, "spec": pod}},
        }


@each_variant
def test_the_operators_take_every_object(variant: str) -> None:
    for each in objects(variant):
        if not of_kubernetes(each):
            errors = list(crd(each["kind"]).iter_errors(each))
            assert [f"{each['kind']}: {'.'.join(map(str, error.path))}: {error.message}" for error in errors] == []


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("Deployment", "spec.template.spec.containers.0.readinessProb"),
        ("Deployment", "spec.template.spec.topologySpreadConstraint"),
        ("NetworkPolicy", "spec.ingres"),
        ("ScaledObject", "spec.maxReplicas"),
        ("ScaledObject", "spec.triggers.0.metadata.thresholds"),
        ("ServiceMonitor", "spec.endpoints.0.ports"),
    ],
)
def test_a_misspelt_field_is_found(kind: str, path: str) -> None:
    each = yaml.safe_load(dumps(the(EMBEDDED, kind)))
    *way, last = path.split(".")
    inside = each
    for step in way:
        inside = inside[int(step) if step.isdigit() else step]
    inside[last] = "3"
    group = of_kubernetes(each)
    judge = schema(VERSIONS[0], kind, group) if group else crd(kind)
    assert any(last in error.message for error in judge.iter_errors(each))


def test_kubectl_would_create_every_object() -> None:
    """`--dry-run=client`, of all variants: a cluster that knows the kinds is asked for nothing but which there are."""
    for variant in (EMBEDDED, ON_TRITON, KSERVE):
        with discovery(objects(variant)) as address:
            said = kubectl(
                f"--server={address}", "create", "--dry-run=client", "--validate=false", "-f-", given=rendered(variant)
            )
        assert len(said.splitlines()) == len(objects(variant))
        assert all(line.endswith(" created (dry run)") for line in said.splitlines())


class discovery:  # noqa: N801  # a context
    """An API server that says which kinds there are, those of `known`, and nothing else."""

    def __init__(self, known: tuple[Object, ...]) -> None:
        kinds = {(each["apiVersion"], each["kind"]) for each in known}
        groups = {api.partition("/")[0]: api for api, _ in kinds if "/" in api}
        pages: dict[str, Any] = {
            "/api": {"kind": "APIVersions", "versions": ["v1"]},
            "/apis": {
                "kind": "APIGroupList",
                "apiVersion": "v1",
                "groups": [
                    {
                        "name": group,
                        "versions": [
                            {"groupVersion": api, "version": api.partition("/")[2]}
                            for api in sorted({api for api, _ in kinds if api.startswith(f"{group}/")})
                        ],
                    }
                    for group in groups
                ],
            },
        }
        for api in {api for api, _ in kinds}:
            resources = [
                {
                    "name": f"{kind.lower()}s",
                    "namespaced": kind != "Namespace",
                    "kind": kind,
                    "verbs": ["create", "get"],
                }
                for its, kind in kinds
                if its == api
            ]
            page = {"kind": "APIResourceList", "groupVersion": api, "resources": resources}
            pages[f"/apis/{api}" if "/" in api else f"/api/{api}"] = page

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path.partition("?")[0])
                body = dumps(page or {}).encode()
                self.send_response(200 if page else 404)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self) -> str:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
