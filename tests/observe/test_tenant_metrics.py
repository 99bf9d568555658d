"""Tenants are shown by name from their first second on, with what was refused to them counting from 0."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from topfive.observe.tenant_metrics import TenantMetrics


def test_a_tenant_counts_from_zero_and_nobody_is_shown_before() -> None:
    registry = CollectorRegistry()
    metrics = TenantMetrics(registry)
    assert registry.get_sample_value("topfive_tenant_images_total", {"tenant": "feed"}) is None
    metrics.answered("feed", 0)
    for reason in ("rate_limited", "quota_exceeded", "queue_full"):
        assert registry.get_sample_value("topfive_tenant_refused_total", {"tenant": "feed", "reason": reason}) == 0
    metrics.answered("feed", 3)
    metrics.refused("feed", "undecodable_image")
    metrics.quota("feed", 0.5)
    assert registry.get_sample_value("topfive_tenant_images_total", {"tenant": "feed"}) == 3
    seen = registry.get_sample_value("topfive_tenant_refused_total", {"tenant": "feed", "reason": "undecodable_image"})
    assert seen == 1
    assert registry.get_sample_value("topfive_tenant_quota_used_ratio", {"tenant": "feed"}) == 0.5
