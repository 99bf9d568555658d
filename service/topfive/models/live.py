"""The live models: those that are served now, and their replacement by newly loaded ones in one swap.

What lives here: the loaded units, the swap that changes what requests find, and the retirement of the old units. What
does not: which changes are allowed, and what is known of those that failed (`models.control`).
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from topfive.batching.batcher import Batcher
from topfive.ground.drift import CONFIDENCE, Baseline
from topfive.ground.errors import BackendMismatch, BackendUnreachable, ConfigurationError, NotReady
from topfive.ground.lifecycle import Lifecycle, State
from topfive.ground.types import Fill
from topfive.models.joining import Joining
from topfive.models.loading import BatchedUnit, Fingerprint, Key, Loader, Unit, Units, fingerprint
from topfive.models.served import Models
from topfive.models.wiring import Changes, apply, served_versions
from topfive.observe.metrics import Metrics, ModelMetrics
from topfive.repository.reading import StoredModel

logger = logging.getLogger("topfive")

_ENDING: Final = (State.FAILED, State.DRAINING, State.STOPPED)


class LiveModels:
    """The models that are served, the one that is being loaded, and those that retire; used on one event loop.

    `current`: what requests find; it is replaced as a whole, and then `on_swap` is called. `stored`: the stored models
    that it was made from. The caller must make one change at a time.
    """

    def __init__(self, *, lifecycle: Lifecycle, metrics: Metrics, on_swap: Callable[[], None] = lambda: None) -> None:
        self.current: Models | None = None
        self.stored: Mapping[str, StoredModel] = {}
        self.units: Units = {}
        self.loading: Key | None = None
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._on_swap = on_swap
        self._retiring: dict[BatchedUnit, asyncio.Task[None]] = {}
        self._joining = Joining()
        self._broken: dict[Key, tuple[Fingerprint, str]] = {}
        self._published: dict[str, ModelMetrics] = {}

    @property
    def batchers(self) -> list[Batcher]:
        """The batchers of all models, with those that retire."""
        return [unit.batcher for unit in self._batched()]

    @property
    def retiring(self) -> list[Key]:
        """Models that new requests do not find any more, but that still answer earlier ones."""
        return [(unit.name, unit.version) for unit in self._retiring]

    async def change(self, loader: Loader, changes: Changes) -> None:
        """Make all `changes` to what is served; if one cannot be made, make none and raise the reason.

        A model that has not changed keeps its queue and its statistics. Raises `ConfigurationError`, or `NotReady` if
        the service has begun to end meanwhile.
        """
        wanted = apply(self.stored, changes)
        if wanted == self.stored and self.current is not None:
            return
        self._joining.refuse_known(wanted)
        units: dict[Key, Unit] = {}
        try:
            for model in wanted.values():
                for version in served_versions(model, wanted):
                    units[model.config.name, version] = await self._unit(loader, model, version)
            await self._joining.check(wanted, units, self.units)
            if self._lifecycle.state in _ENDING:
                raise NotReady("the service is about to end, so its models change no more")
        except BaseException:  # also a cancellation: what was loaded for this change holds memory and threads
            for key, unit in units.items():
                if unit is not self.units.get(key) and isinstance(unit, BatchedUnit):
                    await unit.backend.close()
            raise
        self._swap(wanted, units, loader.serve(wanted, units))

    def retry(self, names: Mapping[str, object]) -> None:
        """Forget that any of `names` failed to load: the cause may have been outside their files."""
        self._broken = {key: broken for key, broken in self._broken.items() if key[0] not in names}
        self._joining.retry(names)

    def publish(self) -> None:
        """Set the gauges of how full each model is; all its versions share them, also those that retire."""
        fills: dict[str, list[Fill]] = {name: [] for name in self._published}
        for unit in self._batched():
            self._published[unit.name] = unit.metrics
            fills.setdefault(unit.name, []).append(unit.batcher.fill)
        for name, alive in fills.items():
            self._published[name].publish_fill(alive)

    def hurry(self) -> None:
        """Let no item wait for a fuller batch any more."""
        for batcher in self.batchers:
            batcher.hurry()

    def fail_if_stuck(self, seconds: float) -> bool:
        """End batches that take more than `seconds`; true if a batcher failed because that had no effect."""
        stuck = [batcher.fail_if_stuck(seconds) for batcher in self.batchers]
        return any(stuck)

    async def check_backends(self) -> str | None:
        """Suspend each model whose backend cannot run it now; return the reason of one that is served, or None."""
        units = list(self._batched())
        reasons = await asyncio.gather(*(_check_backend(unit) for unit in units))
        return next((why for unit, why in zip(units, reasons, strict=True) if why and unit not in self._retiring), None)

    async def drain(self) -> None:
        """Answer every item that waits, then close the backends."""
        backends = [unit.backend for unit in self._batched()]
        await asyncio.gather(*(batcher.drain() for batcher in self.batchers))
        for task in self._retiring.values():
            task.cancel()
        await asyncio.gather(*(backend.close() for backend in backends))

    def _batched(self) -> Iterator[BatchedUnit]:
        yield from (unit for unit in self.units.values() if isinstance(unit, BatchedUnit))
        yield from self._retiring

    async def _unit(self, loader: Loader, model: StoredModel, version: int) -> Unit:
        """The present unit if it was loaded from the same files and configuration, else a new one."""
        key, wanted = (model.config.name, version), fingerprint(model, version)
        present = self.units.get(key)
        if present is not None and present.fingerprint == wanted:
            return present
        broken, reason = self._broken.get(key, (None, ""))
        if broken == wanted:
            raise ConfigurationError(reason)
        self.loading = key
        try:
            return await loader.load(model, version)
        except BackendMismatch:
            raise  # not remembered as broken: the backend may change
        except ConfigurationError as error:
            # The error itself is not kept: its traceback would keep the graph alive.
            self._broken[key] = (wanted, str(error))
            raise
        finally:
            self.loading = None

    def _swap(self, stored: Mapping[str, StoredModel], units: Units, models: Models) -> None:
        came = [unit for key, unit in units.items() if self.units.get(key) is not unit]
        went = [unit for key, unit in self.units.items() if units.get(key) is not unit]
        self.stored, self.units, self.current = stored, units, models
        self._lifecycle.serve(anything=bool(units))
        for unit in went:
            logger.info("model '%s' version %d is no longer served", unit.name, unit.version)
            if isinstance(unit, BatchedUnit):
                self._metrics.forget_model(unit.labels)
                self._retire(unit)
        for unit in came:
            computes = f", in {unit.computes}" if isinstance(unit, BatchedUnit) and unit.computes else ""
            logger.info("model '%s' version %d is served%s", unit.name, unit.version, computes)
            if isinstance(unit, BatchedUnit):
                self._metrics.describe_model(unit.labels)
        for name in self._metrics.drift.use({name: model.baseline for name, model in stored.items()}):
            logger.info("model '%s' is watched for drift from %s", name, _told(stored[name].baseline))
        self._on_swap()
        # What is alive now stays alive for long, so the garbage collector need not visit it again. A unit that retires
        # later is freed by its last reference; units are in no reference cycles for that reason.
        gc.collect()
        gc.freeze()

    def _retire(self, unit: BatchedUnit) -> None:
        unit.batcher.hurry()
        task = asyncio.get_running_loop().create_task(_see_off(unit))
        self._retiring[unit] = task
        task.add_done_callback(lambda _: self._forget(unit))

    def _forget(self, unit: BatchedUnit) -> None:
        task = self._retiring.pop(unit)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("model '%s' version %d could not be released", unit.name, unit.version, exc_info=error)
        self.publish()


def _told(baseline: Baseline | None) -> str:
    """A baseline in a log line; None stands for none."""
    return "nothing" if baseline is None else f"a baseline of {baseline.images(CONFIDENCE)} images ({baseline.source})"


async def _check_backend(unit: BatchedUnit) -> str | None:
    unit.batcher.give_up_abandoned()
    try:
        await unit.backend.check()
    except BackendUnreachable as error:
        unit.batcher.suspend(error)
        return str(error)
    unit.batcher.resume()
    return None


async def _see_off(unit: BatchedUnit) -> None:
    await unit.batcher.retire()
    await unit.backend.close()
    logger.info("model '%s' version %d has answered its last request and is gone", unit.name, unit.version)
