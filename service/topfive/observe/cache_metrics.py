"""The Prometheus metrics of the answer cache: what it found, what it holds, and why entries left it.

What lives here: their definition. What does not: the other metrics and the exposition (`observe.metrics`).
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

FULL: Final = "full"
EXPIRED: Final = "expired"
RETIRED: Final = "retired"
EVICTIONS: Final = (FULL, EXPIRED, RETIRED)
"""Why an entry left: for others, as the bound on bytes was reached; it was too old; its model was replaced."""


class CacheMetrics:
    """All of them, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.images = Counter(
            "topfive_cache_images",
            "Images looked up in the answer cache, by whether their answer was in it.",
            ("model", "result"),
            registry=registry,
        )
        self.evictions = Counter(
            "topfive_cache_evictions",
            "Entries that left the answer cache, by reason: full, expired, retired (their model was replaced).",
            ("reason",),
            registry=registry,
        )
        for reason in EVICTIONS:
            self.evictions.labels(reason)
        self.entries = self._gauge("topfive_cache_entries", "Answers in the answer cache.", registry)
        self.bytes = self._gauge("topfive_cache_bytes", "Bytes that the answer cache takes.", registry)
        self.bytes_limit = self._gauge(
            "topfive_cache_bytes_limit", "Most bytes that the answer caches of all worker processes take.", registry
        )
        self._models: dict[str, tuple[Counter, Counter]] = {}

    def looked_up(self, model: str, *, hits: int, misses: int) -> None:
        """Count the images of one request."""
        series = self._models.get(model)
        if series is None:
            series = self._models[model] = (self.images.labels(model, "hit"), self.images.labels(model, "miss"))
        hit, miss = series
        hit.inc(hits)
        miss.inc(misses)

    def evicted(self, reason: str, entries: int) -> None:
        """Count entries that left for `reason`, one of `EVICTIONS`."""
        if entries:
            self.evictions.labels(reason).inc(entries)

    def publish(self, *, entries: int, nbytes: int) -> None:
        """Set the gauges of what it holds."""
        self.entries.set(entries)
        self.bytes.set(nbytes)

    @staticmethod
    def _gauge(name: str, text: str, registry: CollectorRegistry) -> Gauge:
        return Gauge(name, text, (), registry=registry, multiprocess_mode="livesum")
