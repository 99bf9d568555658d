"""The Prometheus metrics; only this room's modules on metrics and drift import Prometheus' client library.

What lives here: the definition of all metrics but those of trials (`observe.trial_metrics`), of tenants
(`observe.tenant_metrics`), of drift (`observe.drift`) and of the answer cache (`observe.cache_metrics`), and their
exposition. A request's times are also in its log line and its `Server-Timing` header. With several worker processes,
the library keeps its values in files of a shared folder, and `exposition` adds up the processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from topfive.ground.statuses import HTTP
from topfive.ground.types import Fill, Timings
from topfive.machine.usage import Usage
from topfive.observe.cache_metrics import CacheMetrics
from topfive.observe.drift import DriftMetrics
from topfive.observe.metrics_files import add_to_the_dead, keep_room
from topfive.observe.tenant_metrics import TenantMetrics
from topfive.observe.trial_metrics import TrialMetrics

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

DURATION_BUCKETS: Final = (
    *(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0),
)
BATCH_SIZE_BUCKETS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128)
_INFO: Final = ("model", "version", "backend", "engine", "precision", "slots", "limit")
STAGES: Final = ("decode", "resize", "queue", "inference")
REASONS: Final = (*sorted({error.code for error in HTTP}), "abandoned", "cancelled", "expired")
"""Reasons of refusals, and of items that left the queue. All count from 0, or rates would miss the first of each."""


class ModelMetrics:
    """The metrics of one model, with their label looked up once."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._stages = [metrics.stage_duration.labels(model, stage) for stage in STAGES]
        self._images = metrics.images.labels(model)
        self.batch_size = metrics.batch_size.labels(model)
        self.batch_failures = metrics.batch_failures.labels(model)
        self._queue_items = metrics.queue_items.labels(model)
        self._queue_items_limit = metrics.queue_items_limit.labels(model)
        self._queue_bytes = metrics.queue_bytes.labels(model)
        self._slots_busy = metrics.slots_busy.labels(model)
        self._slots = metrics.slots.labels(model)
        self.drift = metrics.drift.model(model)

    def publish_fill(self, fills: Sequence[Fill]) -> None:
        """Set the gauges of queue and slots to the sums over all batchers that serve a version of the model."""
        self._queue_items.set(sum(fill.items for fill in fills))
        self._queue_items_limit.set(sum(fill.max_items for fill in fills))
        self._queue_bytes.set(sum(fill.nbytes for fill in fills))
        self._slots_busy.set(sum(fill.busy_slots for fill in fills))
        self._slots.set(sum(fill.slots for fill in fills))

    def answered(self, images: int, timings: Timings | None) -> None:
        """Count one answered request with so many `images`, and observe its stages; None if it had none."""
        self._images.inc(images)
        if timings is None:
            return
        decode, resize, queue, inference = self._stages
        decode.observe(timings.decode_seconds)
        resize.observe(timings.resize_seconds)
        queue.observe(timings.queue_seconds)
        inference.observe(timings.inference_seconds)


class Metrics:
    """All metrics of one process, in a registry of its own.

    `shared_folder`: where worker processes keep their values; None if there is only one process.
    """

    def __init__(self, *, shared_folder: str | None = None) -> None:
        self._shared_folder = shared_folder
        if shared_folder is not None:
            keep_room()
        registry = CollectorRegistry()
        self._registry = registry
        self._request_durations: dict[tuple[str, str, int | str], Histogram] = {}
        self.request_duration = Histogram(
            "topfive_request_duration_seconds",
            "From the request's head to the last byte handed to the server, by route, model and status code; `429 "
            "limit` is a refusal by the limits of a tenant.",
            ("route", "model", "code"),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self.stage_duration = Histogram(
            "topfive_stage_duration_seconds",
            "Time of an answered request in each stage; its longest image counts, of those not in the answer cache.",
            ("model", "stage"),
            buckets=DURATION_BUCKETS,
            registry=registry,
        )
        self.batch_size = Histogram(
            "topfive_batch_size",
            "Images per batch that ran.",
            ("model",),
            buckets=BATCH_SIZE_BUCKETS,
            registry=registry,
        )
        self.images = Counter("topfive_images", "Images answered.", ("model",), registry=registry)
        self.rejected = Counter(
            "topfive_rejected",
            "Requests refused, and items that left the queue without running, by reason.",
            ("reason",),
            registry=registry,
        )
        for reason in REASONS:
            self.rejected.labels(reason)
        self.batch_failures = Counter(
            "topfive_batch_failures", "Batches that failed in the backend.", ("model",), registry=registry
        )
        self.queue_items = self._gauge("topfive_queue_items", "Images that wait for a batch.", ("model",))
        self.queue_items_limit = self._gauge(
            "topfive_queue_items_limit", "Most images that may wait for a batch.", ("model",)
        )
        self.queue_bytes = self._gauge("topfive_queue_bytes", "Bytes of the images that wait for a batch.", ("model",))
        self.slots_busy = self._gauge("topfive_slots_busy", "Slots that run a batch.", ("model",))
        self.slots = self._gauge("topfive_slots", "Slots, in each of which one batch at a time can run.", ("model",))
        self.in_flight = self._gauge("topfive_in_flight", "Requests admitted and not yet answered.", ())
        self.in_flight_limit = self._gauge("topfive_in_flight_limit", "Most requests admitted at once.", ())
        self.in_flight_bytes = self._gauge("topfive_in_flight_bytes", "Body bytes of the requests in flight.", ())
        self.in_flight_bytes_limit = self._gauge("topfive_in_flight_bytes_limit", "Most body bytes held at once.", ())
        self.grpc_places = self._gauge(
            "topfive_grpc_places", "gRPC inference requests held, those whose message is still awaited included.", ()
        )
        self.grpc_places_limit = self._gauge(
            "topfive_grpc_places_limit", "Most gRPC inference requests held at once.", ()
        )
        self.prepare_waiting = self._gauge(
            "topfive_prepare_waiting", "Images that wait to be decoded, small ones and those that are dear.", ("lane",)
        )
        self.prepare_wait = Gauge(
            "topfive_prepare_wait_seconds",
            "Estimated time until all images that now wait are decoded; of several processes, the longest.",
            ("lane",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.connections = self._gauge("topfive_connections", "Open HTTP connections.", ())
        self.connections_limit = self._gauge("topfive_connections_limit", "Most HTTP connections open at once.", ())
        self.connections_closed = Counter(
            "topfive_connections_closed",
            "HTTP connections that the service closed because of their client, by reason.",
            ("reason",),
            registry=registry,
        )
        self.gauge_failures = Counter(
            "topfive_gauge_failures",
            "Times that some gauges could not be set, because their values could not be read.",
            registry=registry,
        )
        self._lost_lines = Counter(
            "topfive_log_lines_lost",
            "Log lines that could not be written: the reader has stopped, or the disk is full.",
            registry=registry,
        )
        self._lost_lines_told = 0
        self._store_looked = self._one_for_all(
            "topfive_store_last_success_timestamp_seconds",
            "Unix time of the last look at the store of the models that did not fail; 0 without a store.",
        )
        self._store_failures = self._one_for_all(
            "topfive_store_failures",
            "Looks at the store of the models that failed since the last that did not; 0 without a store.",
        )
        self.ready = self._gauge("topfive_ready", "Worker processes that are ready.", ())
        self._model_info = Gauge(
            "topfive_model_info",
            "1 for each model and version served; `limit` is the largest batch formed; `engine` and `precision` are "
            "empty where another process computes.",
            _INFO,
            registry=registry,
            multiprocess_mode="livemax",
        )
        # Every client library uses these names. The library's own collector would read only the process that answers.
        self._cpu_seconds = Counter(
            "process_cpu_seconds",
            "Processor time, of all threads and worker processes, those that have ended included.",
            registry=registry,
        )
        self._cpu_seconds_told = 0.0
        self._resident_bytes = self._gauge(
            "process_resident_memory_bytes", "Memory in use, of all worker processes; what they share counts twice.", ()
        )
        self._cores_limit = self._one_for_all(
            "topfive_cores_limit", "Processor seconds per second that all worker processes together may use."
        )
        self._memory_limit = self._one_for_all(
            "topfive_memory_limit_bytes",
            "Memory that all worker processes together may use, or the machine has.",
        )
        self.drift = DriftMetrics(registry, keeps_series=shared_folder is not None)
        self._started = Gauge(
            "process_start_time_seconds",
            "Unix time at which the process began to load its models; of several processes, the latest.",
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.trials = TrialMetrics(registry)
        self.cache = CacheMetrics(registry)
        self.tenants = TenantMetrics(registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry, multiprocess_mode="livesum")

    def _one_for_all(self, name: str, text: str) -> Gauge:
        """A gauge that has the same value in all worker processes."""
        return Gauge(name, text, (), registry=self._registry, multiprocess_mode="livemax")

    def model(self, name: str) -> ModelMetrics:
        """The metrics of the model `name`."""
        return ModelMetrics(self, name)

    def describe_model(self, labels: Mapping[str, str]) -> None:
        """Publish `topfive_model_info` with `labels`, as in `_INFO`."""
        self._model_info.labels(**labels).set(1)

    def forget_model(self, labels: Mapping[str, str]) -> None:
        """Take back what `describe_model` published; with several processes set it to 0, as their files keep labels."""
        if self._shared_folder is None:
            self._model_info.remove(*(labels[name] for name in _INFO))
        else:
            self._model_info.labels(**labels).set(0)

    def process_started(self) -> None:
        """Publish the present time as the start of the process."""
        self._started.set_to_current_time()

    def publish_process(self, usage: Usage) -> None:
        """Publish what the process uses; call it with readings of one process, in their order."""
        self._cpu_seconds.inc(usage.cpu_seconds - self._cpu_seconds_told)
        self._cpu_seconds_told = usage.cpu_seconds
        self._resident_bytes.set(usage.resident_bytes)

    def publish_limits(self, *, cores: float, memory_bytes: int) -> None:
        """Publish what the process may use: processor seconds per second, and memory."""
        self._cores_limit.set(cores)
        self._memory_limit.set(memory_bytes)

    def publish_store(self, looked: float, failures: int) -> None:
        """Publish when the store of the models was last looked at with success, and how many looks failed since."""
        self._store_looked.set(looked)
        self._store_failures.set(failures)

    def publish_lost_lines(self, count: int) -> None:
        """Publish how many log lines this process has lost since its start."""
        self._lost_lines.inc(count - self._lost_lines_told)
        self._lost_lines_told = count

    def observe_request(self, route: str, model: str, code: int | str, seconds: float) -> None:
        """Observe one finished request; `model` is empty if no model was found for it."""
        key = (route, model, code)
        child = self._request_durations.get(key)
        if child is None:
            child = self._request_durations[key] = self.request_duration.labels(route, model, str(code))
        child.observe(seconds)

    def exposition(self) -> bytes:
        """All metrics, of all worker processes, in Prometheus' text format."""
        if self._shared_folder is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, self._shared_folder)  # type: ignore[no-untyped-call]  # the library's
            try:
                return generate_latest(registry)
            except FileNotFoundError:  # a worker process just ended, and its files were removed while they were read
                return generate_latest(registry)
        return generate_latest(self._registry)


def forget_process(pid: int, shared_folder: str) -> None:
    """Remove the gauges of an ended worker process from `shared_folder`; its counts are added to the dead's file."""
    mark_process_dead(pid, shared_folder)  # type: ignore[no-untyped-call]  # the library's
    add_to_the_dead(pid, Path(shared_folder))
