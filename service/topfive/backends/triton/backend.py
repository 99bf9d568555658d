"""The Triton backend: each batch is one gRPC call, and each slot is one call in flight.

The wire is in `messages` and `channel`. The per-image graphs run in this process, as in the embedded backend.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from topfive.backends.base import Batch, Row, Tensor
from topfive.backends.bounded_loading import BoundedLoading
from topfive.backends.embedded import EmbeddedFactory
from topfive.backends.per_image import EmbeddedPerImageGraph
from topfive.backends.sizing import find_batch_size_that_pays, sample_shape
from topfive.backends.triton.channel import Channel
from topfive.backends.triton.messages import Messages
from topfive.backends.triton.silence import Silence
from topfive.ground.errors import (
    BackendFailure,
    BackendMismatch,
    BackendUnreachable,
    DeadlineExceeded,
    QueueFull,
)
from topfive.machine.workers import WorkerPool
from topfive.repository.model_config import ModelConfig, check_honoured

_CALLS_PER_INSTANCE = 2
"""One call runs and one waits at Triton, so that no instance is idle while the network is busy."""


class TritonBackend:
    """One version of a model at Triton, as a batched graph with `slots` calls at once.

    A call ends with the earliest deadline of its items, or after `timeout_seconds`; it is cancelled when no request
    waits for it any more. After unanswered calls, Triton must run one image before it counts as ready again.
    """

    prefetch = 0
    prepares = False
    serves_alone = False
    cancels = True
    engine = ""

    def __init__(
        self,
        channel: Channel,
        *,
        config: ModelConfig,
        version: int,
        slots: int,
        timeout_seconds: float,
        bounded: BoundedLoading,
    ) -> None:
        self.slots = slots
        self.batch_size_that_pays = config.max_batch_size
        self._channel = channel
        self._config = config
        self._version = version
        self._timeout_seconds = timeout_seconds
        self._bounded = bounded
        self._silence = Silence(channel.url, seconds=timeout_seconds)
        self._messages = Messages(model=config.name, version=version, image=config.inputs[0], outputs=config.outputs)
        self._sample = np.zeros(sample_shape(config), np.uint8)

    async def warm_up(self) -> None:
        """Find the best batch size, measured over the wire with all slots busy; Triton warms itself up."""
        what = f"the warm-up of model '{self._config.name}' on Triton at {self._channel.url}"
        await self._bounded.within(what, self._warm_up(), too_long=BackendMismatch)

    async def _warm_up(self) -> None:
        self.batch_size_that_pays = await find_batch_size_that_pays(
            self._measure, max_batch_size=self._config.max_batch_size
        )
        try:
            for size in range(1, self.batch_size_that_pays + 1):
                await self._call([self._sample] * size, self._timeout_seconds)
        except TimeoutError:
            raise BackendMismatch(f"{self._silence}; make the model faster, or raise triton_timeout_seconds") from None

    def infer(self, batch: Batch, *, alone: bool) -> asyncio.Future[Sequence[Row]]:
        """Send `batch` to Triton."""
        return asyncio.get_running_loop().create_task(self._run(batch))

    def end(self, run: asyncio.Future[Sequence[Row]]) -> None:
        """Cancel the call."""
        run.cancel()

    async def check(self) -> None:
        """Check that Triton is reachable and serves what the repository holds."""
        if mismatch := await _mismatch(self._channel, self._config, self._version):
            raise BackendUnreachable(mismatch)
        if self._silence.doubted:
            await self._run_an_image()

    async def close(self) -> None:
        """Nothing to close: the channel belongs to `TritonFactory`."""

    async def _run(self, batch: Batch) -> Sequence[Row]:
        tensors = batch.claim()
        if not tensors:
            return []
        sent = time.monotonic()
        left = batch.deadline - sent
        try:
            rows = await self._call(tensors, max(0.0, min(left, self._timeout_seconds)))
        except TimeoutError:
            self._silence.given_up(sent)
            if left <= self._timeout_seconds:
                raise DeadlineExceeded("the deadline passed at Triton") from None
            raise self._silence.error(sent) from None
        except BackendUnreachable:
            self._silence.given_up(sent)
            raise
        except BackendFailure:
            self._silence.answered()
            raise
        self._silence.answered()
        return rows

    async def _run_an_image(self) -> None:
        """Run one image; any answer, even an error, ends the doubt. Raises `BackendUnreachable` if none comes."""
        try:
            with contextlib.suppress(BackendFailure, QueueFull, DeadlineExceeded):
                await self._call([self._sample], self._timeout_seconds)
        except TimeoutError:
            raise self._silence.unreachable() from None
        self._silence.doubted = False

    async def _call(self, tensors: Sequence[Tensor], timeout_seconds: float | None) -> list[Row]:
        answer = await self._channel.infer(self._messages.request(tensors), timeout_seconds)
        return self._messages.rows(answer, len(tensors))

    async def _measure(self, size: int) -> float:
        """Seconds that a batch of `size` takes while all slots are busy."""
        tensors = [self._sample] * size
        started = time.monotonic()
        await asyncio.gather(*(self._call(tensors, None) for _ in range(self.slots)))
        return time.monotonic() - started


class TritonFactory:
    """Makes backends on the Triton at `url`; `embedded` makes the per-image graphs, which run in this process.

    `slots`: 0 for as many as Triton's instances need. The settings `triton_…` explain the rest.
    """

    name = "triton"

    def __init__(self, url: str, *, embedded: EmbeddedFactory, slots: int, timeout_seconds: float) -> None:
        self._url = url
        self._embedded = embedded
        self._slots = slots
        self._timeout_seconds = timeout_seconds
        self._channel: Channel | None = None

    @property
    def left_behind(self) -> bool:
        """Whether a thread is still inside ONNX Runtime, which runs the per-image graphs."""
        return self._embedded.left_behind

    async def wait_until_reachable(self) -> None:
        """Return when Triton is ready, that is, when all its models are."""
        await self._connected().wait_until_ready()

    async def per_image(self, config: ModelConfig, path: Path) -> EmbeddedPerImageGraph:
        """The per-image graph in this process, as its config.pbtxt says."""
        check_honoured(config.message, f"model '{config.name}'")
        return await self._embedded.per_image(config, path)

    async def batched(self, config: ModelConfig, path: Path, pool: WorkerPool) -> TritonBackend:
        """The model at Triton, checked against `config`; the graph at `path` is not opened."""
        channel, version = self._connected(), int(path.parent.name)
        if mismatch := await _mismatch(channel, config, version):
            raise BackendMismatch(mismatch)
        slots = self._slots or _CALLS_PER_INSTANCE * await channel.instances(config, version)
        return TritonBackend(
            channel,
            config=config,
            version=version,
            slots=slots,
            timeout_seconds=self._timeout_seconds,
            bounded=self._embedded.bounded,
        )

    async def close(self) -> None:
        """End the channel."""
        if self._channel is not None:
            await self._channel.close()

    def _connected(self) -> Channel:
        if self._channel is None:  # made late: a channel belongs to the running event loop
            self._channel = Channel(self._url, timeout_seconds=self._timeout_seconds)
        return self._channel


async def _mismatch(channel: Channel, config: ModelConfig, version: int) -> str | None:
    """What is wrong with the model at Triton, in words for an operator; None if nothing is."""
    differences = await channel.differences(config, version)
    if not differences:
        return None
    return (
        f"Triton at {channel.url} does not serve version {version} of model '{config.name}' as this repository has "
        f"it ({'; '.join(differences)}); give both the same repository"
    )
