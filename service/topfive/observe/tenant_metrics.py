"""The metrics of tenants: what each got, what was refused to it, and how much of its quota is used.

What lives here: their definition. What does not: who the tenants are (`access.tenants`); their names come from the file
of API keys, which bounds how many there are.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

_FIRST: Final = ("rate_limited", "quota_exceeded", "queue_full")
"""What counts from 0 for each tenant, or rates would miss the first of each; a series for each error would be many."""


class TenantMetrics:
    """The metrics of one process; nothing is shown until a tenant is known."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._images = Counter(
            "topfive_tenant_images", "Images answered, by the tenant of the API key.", ("tenant",), registry=registry
        )
        self._refused = Counter(
            "topfive_tenant_refused",
            "Requests refused or failed, by the tenant of the API key and the code of the error.",
            ("tenant", "reason"),
            registry=registry,
        )
        self._quota = Gauge(
            "topfive_tenant_quota_used_ratio",
            "How much of its quota a tenant has used in this hour, day or month: 1 is all of it.",
            ("tenant",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self._known: dict[str, Counter] = {}

    def answered(self, tenant: str, images: int) -> None:
        """Count so many images; with none, the tenant is shown with 0."""
        child = self._known.get(tenant)
        if child is None:
            child = self._known[tenant] = self._images.labels(tenant)
            for reason in _FIRST:
                self._refused.labels(tenant, reason)
        child.inc(images)

    def refused(self, tenant: str, reason: str) -> None:
        """Count one request."""
        self._refused.labels(tenant, reason).inc()

    def quota(self, tenant: str, used: float) -> None:
        """Show how much of the quota is used."""
        self._quota.labels(tenant).set(used)
