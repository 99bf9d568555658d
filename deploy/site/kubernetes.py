"""Of deploy/kubernetes/ what is made: the rules of Prometheus as an object, and the picture of the objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from deploy.site.diagrams import Arrow, Box, drawn

_HEAD: Final = "# Made from deploy/prometheus/rules by `make docs-pages`: change those.\n"


def prometheus_rule(rules: Path) -> str:
    """All groups of the rule files in the folder `rules`, as one object for the Prometheus operator."""
    files = sorted(rules.glob("*.yml"))
    groups = [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    made: dict[str, Any] = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "topfive", "labels": {"app.kubernetes.io/part-of": "topfive"}},
        "spec": {"groups": groups},
    }
    return _HEAD + yaml.safe_dump(made, sort_keys=False, width=120, allow_unicode=True)


def objects_picture() -> str:
    """Who asks whom in the overlays, and what steers the number of pods."""
    boxes = {
        "clients": Box(0, 0, "clients\n(Ingress, Gateway)"),
        "service": Box(1, 0, "Service topfive\nHTTP and gRPC"),
        "pods": Box(2, 0, "topfive\n2 to 10 pods"),
        "triton": Box(3, 0, "triton, GPU pods\n(if there are any)"),
        "prometheus": Box(1, 1, "Prometheus\nServiceMonitor, rules"),
        "keda": Box(2, 1, "KEDA\nScaledObject"),
        "models": Box(3, 1, "models: an image,\na volume, a store"),
    }
    arrows = [
        Arrow("clients", "service"),
        Arrow("service", "pods"),
        Arrow("pods", "triton", "batches,\nin turn"),
        Arrow("prometheus", "pods", "/metrics"),
        Arrow("keda", "prometheus", "queue wait,\nbusy slots"),
        Arrow("keda", "pods", "how many"),
        Arrow("models", "pods", "/models"),
        Arrow("models", "triton", "/models"),
    ]
    return drawn("The objects in the cluster", boxes, arrows)
