"""`docs/metrics.md`: what Prometheus is told, from the registry itself."""

from __future__ import annotations

from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from topfive.ground.drift import CONFIDENCE_BOUNDS, FORMAT_NAMES, MEGAPIXEL_BOUNDS, SIGNALS
from topfive.observe.cache_metrics import EVICTIONS
from topfive.observe.metrics import BATCH_SIZE_BUCKETS, DURATION_BUCKETS, REASONS, STAGES, Metrics
from topfive.observe.trial_metrics import ARMS, DROPS, SHADOW_ARMS

_HEAD: Final = """\
# Metrics

What `/metrics` tells Prometheus: names, types, labels. Made from the registry by `make docs-pages`. The dashboards and
alerts that come with them are under [operations](operations.md#dashboards).

| metric | type | labels | what it tells |
|---|---|---|---|
"""

_QUERIES: Final = """\
## Questions and their queries

| question | query |
|---|---|
| How slow is the slowest percent? | `histogram_quantile(0.99, sum by (le) \
(rate(topfive_request_duration_seconds_bucket{route="/v1/classify"}[1m])))` |
| How many images a second? | `sum(rate(topfive_images_total[1m]))` |
| Where does the time go? | `sum by (stage) (rate(topfive_stage_duration_seconds_sum[1m])) / \
sum by (stage) (rate(topfive_stage_duration_seconds_count[1m]))` |
| How large are batches on average? \
| `sum(rate(topfive_batch_size_sum[1m])) / sum(rate(topfive_batch_size_count[1m]))` |
| How many images are answered from the cache? | `sum(rate(topfive_cache_images_total{result="hit"}[5m])) / \
sum(rate(topfive_cache_images_total[5m]))` |
| What is refused, and why? | `sum by (reason) (rate(topfive_rejected_total[1m])) > 0` |
| Whose requests are refused? | `sum by (tenant, reason) (rate(topfive_tenant_refused_total[1m])) > 0` |
| How full is it? | `topfive_slots_busy / topfive_slots` |
| Are images and answers what they were? | `topfive:psi:1h > 0.1` |
"""


def metrics_page() -> str:
    """The page as it should be."""
    metrics = Metrics()
    parts = (metrics, metrics.trials, metrics.drift, metrics.cache, metrics.tenants)
    members = [member for part in parts for member in vars(part).values()]
    found = [metric for metric in members if isinstance(metric, MetricWrapperBase)]
    return _HEAD + "\n".join(map(_row, found)) + "\n\n" + _values() + "\n" + _QUERIES


def _row(metric: MetricWrapperBase) -> str:
    (described,) = metric.describe()
    name = described.name + ("_total" if described.type == "counter" else "")
    labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001  # the library tells it no other way
    return f"| `{name}` | {described.type} | {labels} | {described.documentation} |"


def _values() -> str:
    def listed(values: tuple[object, ...]) -> str:
        return ", ".join(f"`{value}`" for value in values)

    return f"""\
## Values of labels, bounds of buckets

| | |
|---|---|
| `stage` | {listed(STAGES)} |
| `reason` of `topfive_rejected_total` | {listed(REASONS)}; each counts from 0 |
| `reason` of `topfive_shadow_dropped_total` | {listed(DROPS)}; each counts from 0 |
| `reason` of `topfive_cache_evictions_total` | {listed(EVICTIONS)}; each counts from 0 |
| `arm` of a shadow's times, of a canary | {listed(SHADOW_ARMS)}; {listed(ARMS)} |
| buckets of durations, in seconds | {listed(DURATION_BUCKETS)} |
| buckets of batch sizes | {listed(BATCH_SIZE_BUCKETS)} |
| buckets of confidence | {listed(CONFIDENCE_BOUNDS)} |
| buckets of megapixels | {listed(MEGAPIXEL_BOUNDS)} |
| `format` | {listed(FORMAT_NAMES)} |
| `signal` of a baseline | {listed(SIGNALS)}; [drift](drift.md) says what they are |

A histogram has `_bucket`, `_sum` and `_count`. With several worker processes any of them answers for all.
"""
