"""Cumulative statistics of a served model in one process, as the protocol's `statistics` extension defines them.

What lives here: the counters, as plain integers, because every request adds to them. What does not: their JSON and
protobuf forms (`protocol.descriptions`, `grpc.servicer`), and Prometheus' metrics (`observe.metrics`).

The eight fields of Triton's `inference_stats` mean here: `success` and `fail`, whole requests; `queue`, their waiting;
`compute_input`, decoding and the per-image graph; `compute_infer`, the batched graph; `compute_output`, the rest of an
answered request's time; `cache_hit` and `cache_miss`, the look-up of requests all of whose images were in the answer
cache, and of the others. As in Triton, what was in the cache is no inference, and a request that was in it has no other
stage.
"""

from __future__ import annotations

import time
from typing import Final

from topfive.ground.types import LookedUp, Timings

_NANOSECONDS: Final = 1_000_000_000
_MILLISECONDS: Final = 1000


class Duration:
    """How often something happened, and how many nanoseconds it took in all."""

    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, seconds: float) -> None:
        """Count one more, which took `seconds`."""
        self.count += 1
        self.ns += int(seconds * _NANOSECONDS)


class BatchStatistics:
    """How long the batches took that ran with one size."""

    __slots__ = ("compute_infer", "compute_input", "compute_output")

    def __init__(self) -> None:
        self.compute_input = Duration()
        self.compute_infer = Duration()
        self.compute_output = Duration()


class Statistics:
    """The statistics of one version of one model."""

    def __init__(self) -> None:
        self.last_inference_ms = 0
        self.inference_count = 0
        self.execution_count = 0
        self.success = Duration()
        self.fail = Duration()
        self.queue = Duration()
        self.compute_input = Duration()
        self.compute_infer = Duration()
        self.compute_output = Duration()
        self.cache_hit = Duration()
        self.cache_miss = Duration()
        self.batches: dict[int, BatchStatistics] = {}

    def succeeded(
        self, images: int, timings: Timings, total_seconds: float, *, looked_up: LookedUp | None = None
    ) -> None:
        """Count one answered request with so many `images`; its body and its answer are part of `total_seconds`."""
        if looked_up is not None:
            images -= looked_up.hits
            (self.cache_hit if looked_up.is_whole else self.cache_miss).add(looked_up.seconds)
            if looked_up.is_whole:
                self.success.add(total_seconds)
                return
        self.last_inference_ms = int(time.time() * _MILLISECONDS)  # noqa: TID251  # the protocol asks for the wall clock
        self.inference_count += images
        prepared = timings.decode_seconds + timings.resize_seconds
        rest = total_seconds - prepared - timings.queue_seconds - timings.inference_seconds
        for duration, seconds in (  # as `add` does, without a call for each
            (self.success, total_seconds),
            (self.queue, timings.queue_seconds),
            (self.compute_input, prepared),
            (self.compute_infer, timings.inference_seconds),
            (self.compute_output, max(0.0, rest)),
        ):
            duration.count += 1
            duration.ns += int(seconds * _NANOSECONDS)

    def failed(self, total_seconds: float) -> None:
        """Count one request for this model that was refused or failed."""
        self.fail.add(total_seconds)

    def ran_batch(self, size: int, prepare_seconds: float, inference_seconds: float) -> None:
        """Count one batch of `size` images that the backend ran."""
        self.execution_count += 1
        batch = self.batches.get(size)
        if batch is None:
            batch = self.batches[size] = BatchStatistics()
        batch.compute_input.add(prepare_seconds)
        batch.compute_infer.add(inference_seconds)
        batch.compute_output.add(0.0)
