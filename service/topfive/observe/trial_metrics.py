"""The Prometheus metrics of versions on trial: what a shadow says, and how a canary does beside the live version.

What lives here: their definition, and the label sets, which all begin at 0. What does not: the other metrics and the
exposition (`observe.metrics`).
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

DROPS: Final = ("full", "busy", "timeout", "failed", "absent")
"""Why a copy was not answered by the shadow: no place; no turn, of the cores or the shadow, for too long; the shadow
took too long; it answered with an error; or the version is not served."""
ARMS: Final = ("live", "canary")
SHADOW_ARMS: Final = ("live", "shadow")
CHANGE_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
OVERLAP_BUCKETS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
_DURATIONS: Final = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0)


class TrialMetrics:
    """All of them, in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        shadow, canary = ("model", "target"), ("model", "version")
        self.compared = Counter(
            "topfive_shadow_compared",
            "Images that the shadow answered too, by whether its first label is the live one's.",
            (*shadow, "agrees"),
            registry=registry,
        )
        self.change = Histogram(
            "topfive_shadow_probability_change",
            "How far the shadow's probability of the live first label is from the live one, for each image.",
            shadow,
            buckets=CHANGE_BUCKETS,
            registry=registry,
        )
        self.overlap = Histogram(
            "topfive_shadow_overlap",
            "Share of the five labels that both answers list, for each image.",
            shadow,
            buckets=OVERLAP_BUCKETS,
            registry=registry,
        )
        self.shadow_duration = Histogram(
            "topfive_shadow_duration_seconds",
            "Time of the same requests in both: inference if the shadow is in this process, else the whole answer.",
            (*shadow, "arm"),
            buckets=_DURATIONS,
            registry=registry,
        )
        self.dropped = Counter(
            "topfive_shadow_dropped",
            "Images chosen for the shadow that it did not answer, by reason; their live answers are not touched.",
            (*shadow, "reason"),
            registry=registry,
        )
        self.waiting = Gauge(
            "topfive_shadow_waiting",
            "Images that wait for the shadow.",
            shadow,
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.waiting_bytes = Gauge(
            "topfive_shadow_waiting_bytes",
            "Bytes of the images that wait for the shadow.",
            shadow,
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.canary_requests = Counter(
            "topfive_canary_requests",
            "Requests that the canary took part in, by who was to answer and the status that it came to.",
            (*canary, "arm", "code"),
            registry=registry,
        )
        self.canary_duration = Histogram(
            "topfive_canary_duration_seconds",
            "Time of an answer in queue and inference, by who gave it: decoding is the same in all versions.",
            (*canary, "arm"),
            buckets=_DURATIONS,
            registry=registry,
        )
        self.canary_retried = Counter(
            "topfive_canary_retried",
            "Requests that the canary failed and the live version then got, so that no client saw the failure.",
            canary,
            registry=registry,
        )
        self.canary_share = Gauge(
            "topfive_canary_share",
            "Share of the requests that the canary gets now; 0 while it is off or not served.",
            canary,
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.canary_rolled_back = Gauge(
            "topfive_canary_rolled_back",
            "1 while the canary is off, by the rollback rule or by an operator.",
            canary,
            registry=registry,
            multiprocess_mode="livemax",
        )

    def shadow(self, model: str, target: str) -> ShadowMetrics:
        """Those of one shadow, with their labels looked up once."""
        return ShadowMetrics(self, model, target)

    def canary(self, model: str, version: int) -> CanaryMetrics:
        """Those of one canary, with their labels looked up once."""
        return CanaryMetrics(self, model, str(version))


class ShadowMetrics:
    """The metrics of one shadow."""

    def __init__(self, metrics: TrialMetrics, model: str, target: str) -> None:
        self._compared = {
            agrees: metrics.compared.labels(model, target, "yes" if agrees else "no") for agrees in (1, 0)
        }
        self._change = metrics.change.labels(model, target)
        self._overlap = metrics.overlap.labels(model, target)
        self._live, self._shadow = (metrics.shadow_duration.labels(model, target, arm) for arm in SHADOW_ARMS)
        self._dropped = {reason: metrics.dropped.labels(model, target, reason) for reason in DROPS}
        self._waiting = metrics.waiting.labels(model, target)
        self._waiting_bytes = metrics.waiting_bytes.labels(model, target)

    def compared(self, *, agrees: bool, change: float, overlap: float) -> None:
        """Count one image that both have answered."""
        self._compared[agrees].inc()
        self._change.observe(change)
        self._overlap.observe(overlap)

    def took(self, *, live: float, shadow: float) -> None:
        """Observe the seconds that one request took in both."""
        self._live.observe(live)
        self._shadow.observe(shadow)

    def dropped(self, reason: str, images: int) -> None:
        """Count so many images that the shadow does not answer."""
        self._dropped[reason].inc(images)

    def publish_waiting(self, *, images: int, nbytes: int) -> None:
        """Set the gauges of what waits."""
        self._waiting.set(images)
        self._waiting_bytes.set(nbytes)


class CanaryMetrics:
    """The metrics of one canary."""

    def __init__(self, metrics: TrialMetrics, model: str, version: str) -> None:
        self._labels = (model, version)
        self._requests = metrics.canary_requests
        for arm in ARMS:
            self._requests.labels(model, version, arm, "200")
        self._durations = {arm: metrics.canary_duration.labels(model, version, arm) for arm in ARMS}
        self._retried = metrics.canary_retried.labels(model, version)
        self._share = metrics.canary_share.labels(model, version)
        self._rolled_back = metrics.canary_rolled_back.labels(model, version)

    def request(self, arm: str, code: int) -> None:
        """Count one request that `arm` was to answer, and that came to the HTTP status `code`."""
        self._requests.labels(*self._labels, arm, str(code)).inc()

    def took(self, arm: str, seconds: float) -> None:
        """Observe the seconds of one answer."""
        self._durations[arm].observe(seconds)

    def retried(self) -> None:
        """Count one request that the live version got after the canary had failed it."""
        self._retried.inc()

    def publish(self, *, share: float, rolled_back: bool) -> None:
        """Set the gauges."""
        self._share.set(share)
        self._rolled_back.set(rolled_back)
