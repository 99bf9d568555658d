"""Which page, and which picture, is made by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from deploy.site import architecture
from deploy.site.decisions import decisions_page
from deploy.site.errors import errors_page
from deploy.site.http_api import http_api_page
from deploy.site.kubernetes import objects_picture, prometheus_rule
from deploy.site.metrics import metrics_page
from deploy.site.offline_commands import offline_commands_page
from deploy.site.refusals import refusals_page
from deploy.site.runbooks import runbooks_page
from deploy.site.settings import settings_page

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
_RULES: Final = DOCS.parent / "deploy" / "prometheus" / "rules"

PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": settings_page,
    "http-api.md": http_api_page,
    "errors.md": errors_page,
    "metrics.md": metrics_page,
    "import.md": offline_commands_page,
    "import-messages.md": refusals_page,
    "life-of-a-request.svg": architecture.life_of_a_request,
    "states-of-an-item.svg": architecture.states_of_an_item,
    "states-of-the-service.svg": architecture.states_of_the_service,
    "changing-models.svg": architecture.changing_models,
    "kubernetes.svg": objects_picture,
    "models-from-a-store.svg": architecture.models_from_a_store,
    "decisions/README.md": lambda: decisions_page(DOCS / "decisions"),
    "../deploy/prometheus/consoles/runbooks.html": lambda: runbooks_page(DOCS / "operations.md"),
    "../deploy/kubernetes/components/monitoring/prometheus-rule.yaml": lambda: prometheus_rule(_RULES),
}
"""By its path in `docs/`, what makes the text of a page or a picture."""
