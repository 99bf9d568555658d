"""The gauges that are set once a second and for each scrape; setting them at each change would cost every request.

What lives here: the values that they show. A gauge whose value cannot be read keeps its last one; that is counted, and
logged once, and no request fails of it. What does not: the metrics themselves (`observe.metrics`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from topfive.access.connections import Connections
from topfive.access.tenants import Tenants
from topfive.config.settings import Settings
from topfive.machine.cores import core_limit
from topfive.machine.memory import memory_limit
from topfive.machine.usage import read_usage
from topfive.models.live import LiveModels
from topfive.observe.metrics import Metrics
from topfive.repository.mirror_notes import read_looks
from topfive.request.admission import Admission
from topfive.request.answer_cache import AnswerCache
from topfive.request.preparing.preparation import Preparation

logger = logging.getLogger("topfive")


class Gauges:
    """The gauges of one process.

    Set later: `preparation`, `cache`, `tenants`; `mirror`, the folder of the mirror, if models come from a store;
    `count_lost_lines`, which returns how many lines of the log were lost; and `count_grpc_places`, which returns how
    many inference requests gRPC holds.
    """

    def __init__(self, metrics: Metrics, *, connections: Connections, admission: Admission, live: LiveModels) -> None:
        self.preparation: Preparation | None = None
        self.cache: AnswerCache | None = None
        self.mirror: Path | None = None
        self.tenants: Tenants | None = None
        self.count_lost_lines: Callable[[], int] = lambda: 0
        self.count_grpc_places: Callable[[], int] = lambda: 0
        self._metrics = metrics
        self._connections = connections
        self._admission = admission
        self._live = live
        self._failing: set[str] = set()

    def publish_limits(self, settings: Settings) -> None:
        """Set the gauges of bounds, which do not change."""
        self._metrics.in_flight_limit.set(settings.max_in_flight_requests)
        self._metrics.in_flight_bytes_limit.set(settings.max_in_flight_bytes)
        self._metrics.connections_limit.set(settings.max_connections)
        self._metrics.publish_limits(cores=core_limit(), memory_bytes=memory_limit())

    def publish(self) -> None:
        """Set all gauges to their present values."""
        for publish in (
            self._publish_load,
            self._publish_preparation,
            self._publish_cache,
            self._live.publish,
            self._publish_store,
            self._publish_process,
            self._publish_tenants,
        ):
            try:
                publish()
            except Exception as error:  # requests must not fail because of a gauge
                self._metrics.gauge_failures.inc()
                if publish.__name__ not in self._failing:
                    logger.warning("some gauges stay as they were: %s", error, exc_info=not isinstance(error, OSError))
                self._failing.add(publish.__name__)
            else:
                self._failing.discard(publish.__name__)

    def _publish_load(self) -> None:
        self._metrics.connections.set(len(self._connections))
        self._metrics.in_flight.set(self._admission.requests)
        self._metrics.in_flight_bytes.set(self._admission.nbytes)
        self._metrics.grpc_places.set(self.count_grpc_places())

    def _publish_preparation(self) -> None:
        if self.preparation is not None:
            for lane, (images, seconds) in self.preparation.waiting().items():
                self._metrics.prepare_waiting.labels(lane).set(images)
                self._metrics.prepare_wait.labels(lane).set(seconds)

    def _publish_cache(self) -> None:
        if (cache := self.cache) is not None:
            cache.expire()
            self._metrics.cache.publish(entries=len(cache), nbytes=cache.nbytes)

    def _publish_store(self) -> None:
        if self.mirror is not None:
            self._metrics.publish_store(*read_looks(self.mirror))

    def _publish_tenants(self) -> None:
        for tenant in () if self.tenants is None else self.tenants.current:
            self._metrics.tenants.answered(tenant.name, 0)
            if (used := tenant.quota_used) is not None:
                self._metrics.tenants.quota(tenant.name, used)

    def _publish_process(self) -> None:
        self._metrics.publish_lost_lines(self.count_lost_lines())
        self._metrics.publish_process(read_usage())
