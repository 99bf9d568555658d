"""The row of the service's dashboard on tenants: what each gets, what it is refused, how much of its quota is used."""

from typing import Final

from deploy.grafana.boards.layout import PanelRow, Row
from deploy.grafana.boards.panels import Query, lines
from deploy.grafana.boards.queries import WHERE, per_second

_MOST: Final = 10
"""Lines in a panel: there may be 64 tenants, and a legend of so many cannot be read."""


def told_apart() -> Row:
    """The row; without a file of API keys its panels are empty."""
    refused = per_second(f"topfive_tenant_refused_total{{{WHERE}}}", by="tenant, reason")
    used = f"max by (service, tenant) (topfive_tenant_quota_used_ratio{{{WHERE}}})"
    shown = [
        lines(
            "Tenants: images per second",
            f"Images answered, of the {_MOST} tenants that get the most. Who has a key without a name is 'default' "
            "(docs/tenants.md).",
            Query(_largest(per_second(f"topfive_tenant_images_total{{{WHERE}}}", by="tenant")), "{{tenant}}"),
            unit="ops",
            values=False,
        ),
        lines(
            "Tenants: refused or failed",
            f"Requests per second, by the error's code; the {_MOST} most frequent pairs. rate_limited and "
            "quota_exceeded are a tenant's own limits; queue_full is its share of a full service.",
            Query(_largest(f"({refused} > 0)"), "{{tenant}} {{reason}}"),
            unit="reqps",
            values=False,
        ),
        lines(
            "Tenants: quota used",
            f"Share of its images of this hour, day or month (UTC) that a tenant has used; the {_MOST} that are "
            "nearest to the end. At 1 it is refused until the next begins.",
            Query(_largest(used), "{{service}} {{tenant}}"),
            unit="percentunit",
            most=1,
            values=False,
        ),
    ]
    return Row("Who asks?", [PanelRow(shown)])


def _largest(query: str) -> str:
    return f"topk({_MOST}, {query})"
