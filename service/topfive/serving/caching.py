"""Makes the answer cache of a process out of the settings.

What does not live here: what it does (`request.answer_cache`, `request.lookup`).
"""

from __future__ import annotations

from topfive.config.settings import Settings
from topfive.ground.clock import Clock
from topfive.observe.cache_metrics import CacheMetrics
from topfive.request.answer_cache import AnswerCache


def make_answer_cache(settings: Settings, *, clock: Clock, metrics: CacheMetrics) -> AnswerCache | None:
    """The cache, empty; None if the settings want none."""
    if not settings.answer_cache_bytes:
        return None
    metrics.bytes_limit.set(settings.answer_cache_bytes)
    return AnswerCache(
        max_bytes=settings.answer_cache_bytes,
        max_seconds=settings.answer_cache_seconds,
        now=clock.now,
        metrics=metrics,
    )
