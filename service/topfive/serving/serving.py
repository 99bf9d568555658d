"""The running service: everything that exists once in a process and that requests share.

What lives here: connections, admission, models and lifecycle, and the order in which they start and stop. What does
not: protocols (`http`, `grpc`).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from typing import Final

from topfive.access.connections import Connections
from topfive.access.credentials import Credentials
from topfive.access.tenants import Tenants
from topfive.backends.base import BackendFactory
from topfive.config.settings import Settings
from topfive.ground.client_addresses import ClientAddresses, read_networks
from topfive.ground.clock import Clock
from topfive.ground.errors import BackendFailure, NotReady, TopfiveError
from topfive.ground.lifecycle import Bell, Lifecycle, State
from topfive.machine.workers import WorkerPool
from topfive.models.control import ModelControl
from topfive.models.following import Following
from topfive.models.live import LiveModels
from topfive.models.loading import Loader
from topfive.models.served import Models
from topfive.models.settling import SETTLE_SECONDS, Settling
from topfive.observe.metrics import Metrics
from topfive.repository.reading import Repository, StoredModel
from topfive.request.classifier import Classifier
from topfive.request.preparing.preparation import Preparation
from topfive.serving import bounds
from topfive.serving.caching import make_answer_cache
from topfive.serving.gauges import Gauges
from topfive.serving.reporting import Tracing
from topfive.serving.trying import make_trials
from topfive.serving.upkeep import Upkeep

logger = logging.getLogger("topfive")

_WATCH_SECONDS: Final = 1.0
"""How often stuck calls are looked for and gauges are set, so how old they may be when another process is scraped."""
_ASIDE_THREADS: Final = 2
"""Threads that read what clients send beside images: JSON, forms, gzip."""
_LAST_BATCH_SECONDS: Final = 0.5
"""How long a running batch may still take when the time for the stop is up."""


class Serving:
    """Everything that requests share.

    `stored`: the models of `repository` at the start; those from a store come by `following`. `control` changes models
    while they are served; `changed` rings when the models or the state change. `on_ready` is called once, when the
    first model is served. `on_fatal` is called when the process should end, with `failure` set. `is_stuck`: a call does
    not end; the watchdog found it, or `stop` has waited for it as long as it may. `leaves_threads`: a load or a fetch
    was given up, and its thread did not end. `trials`: what finds the model of a request, and answers it.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        repository: Repository,
        stored: dict[str, StoredModel],
        factory: BackendFactory,
        cores: int,
        clock: Clock,
        metrics: Metrics,
        on_fatal: Callable[[], None],
        tracing: Tracing | None = None,
        following: Following | None = None,
        tenants: Tenants | None = None,
    ) -> None:
        self.settings = settings
        self.tracing = tracing
        self.clock = clock
        self.metrics = metrics
        self.clients = ClientAddresses(read_networks(settings.trusted_proxies))
        self.limits = bounds.image_limits(settings)
        self.admission = bounds.admission_of(settings, clock)
        self.connections = Connections(
            bounds.connection_limits(settings),
            clock=clock,
            on_closed=lambda reason: metrics.connections_closed.labels(reason).inc(),
        )
        self.changed = Bell()
        self.lifecycle = Lifecycle(on_change=self._on_state)
        self.failure: BaseException | None = None
        self.is_stuck = self.leaves_threads = False
        self._stored, self._factory = stored, factory
        self.cores = cores
        self._on_fatal = on_fatal
        self.credentials = Credentials(settings, tenants)
        self.on_ready: Callable[[], None] = lambda: None
        self._was_ready = False
        self._live = LiveModels(lifecycle=self.lifecycle, metrics=metrics, on_swap=self._on_swap)
        self.gauges = Gauges(metrics, connections=self.connections, admission=self.admission, live=self._live)
        self.gauges.cache = self.cache = make_answer_cache(settings, clock=clock, metrics=metrics.cache)
        self.gauges.tenants = self.credentials.tenants
        self.control = ModelControl(
            mode=settings.model_control,
            repository=repository,
            settling=Settling(repository, clock=clock, seconds=min(SETTLE_SECONDS, settings.poll_seconds)),
            lifecycle=self.lifecycle,
            live=self._live,
            following=following,
        )
        self._upkeep = Upkeep(
            factory=factory,
            control=self.control,
            live=self._live,
            following=following,
            lifecycle=self.lifecycle,
            clock=clock,
            poll_seconds=settings.poll_seconds if settings.model_control == "poll" else None,
            fail=self.fail,
        )
        self.trials = make_trials(self)
        self._leaving = asyncio.Event()
        self._ends = math.inf
        self._pools: list[WorkerPool] = []
        self._watched: list[WorkerPool] = []
        self._preparation: Preparation | None = None
        self._classifier: Classifier | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def models(self) -> Models:
        """The models that are served now; raises `NotReady` until the first models are warm."""
        models = self._live.current
        if models is None:
            raise NotReady("the service is starting: its models are not warm yet; retry shortly")
        return models

    @property
    def stored(self) -> Mapping[str, StoredModel]:
        """The stored models that the served models were made from, by name."""
        return self._live.stored

    @property
    def classifier(self) -> Classifier:
        """The classifier, which answers requests; raises `NotReady` before `start`."""
        if self._classifier is None:
            raise NotReady("the service is starting; retry shortly")
        return self._classifier

    def start(self) -> None:
        """Begin to load and warm up the models; returns at once, so that liveness probes are answered meanwhile."""
        compute = WorkerPool(threads=self.cores, name="compute", on_death=self.fail)
        aside = WorkerPool(threads=_ASIDE_THREADS, name="aside", on_death=self.fail)
        self._pools = [compute, aside]
        self._preparation = Preparation(
            bounds.preparing_limits(self.settings, cores=self.cores),
            images=self.limits,
            rules=bounds.decoding_rules(self.settings),
            admission=self.admission,
            clock=self.clock,
            on_death=self.fail,
        )
        self.gauges.preparation = self._preparation
        self._watched = [aside, *self._preparation.pools]
        self._classifier = Classifier(
            admission=self.admission, preparation=self._preparation, pool=aside, clock=self.clock, cache=self.cache
        )
        self.connections.start()
        self.metrics.process_started()
        self.gauges.publish_limits(self.settings)
        self._upkeep.start(self._loader(compute), self._stored)
        self._tasks = [asyncio.create_task(self._keep_watch()), asyncio.create_task(self._keep_current())]

    def _loader(self, pool: WorkerPool) -> Loader:
        def tell(model: str, size: int, error: BaseException) -> None:
            logger.error("a batch of %d failed in model %s", size, model, exc_info=error)

        return Loader(
            factory=self._factory,
            pool=pool,
            defaults=bounds.queue_defaults(self.settings),
            clock=self.clock,
            metrics=self.metrics,
            on_failure=self.fail,
            on_batch_failure=tell,
            default_model=self.settings.default_model,
        )

    async def wait_until_loaded(self) -> None:
        """Return when the models are warm, when loading has failed, or when the service is told to stop."""
        if self._upkeep.loading is not None:
            leaving = asyncio.get_running_loop().create_task(self._leaving.wait())
            await asyncio.wait([self._upkeep.loading, leaving], return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()

    async def _keep_watch(self) -> None:
        """Set the gauges, and look for batches and calls that do not end, every second."""
        try:
            while True:
                self.gauges.publish()
                self.trials.review()
                self.is_stuck |= self._live.fail_if_stuck(self.settings.stuck_batch_seconds)
                self._fail_if_thread_is_stuck()
                await asyncio.sleep(_WATCH_SECONDS)
        except Exception as error:  # noqa: BLE001  # a service without its watchdog must not go on
            self.fail(error)

    def _fail_if_thread_is_stuck(self) -> None:
        """Fail if a call outside of batches does not end: all are bounded, decoding by its own, so it is a defect."""
        seconds = self.settings.stuck_batch_seconds + self.settings.max_decode_seconds
        for pool in self._watched:
            name = pool.find_stuck(math.ceil(seconds / _WATCH_SECONDS))
            if name is not None and not self.is_stuck:
                self.is_stuck = True
                self.fail(BackendFailure(f"a call on the thread {name} has not ended within {seconds:g} s"))

    def begin_drain(self) -> None:
        """Be "not ready" from now on; requests that still come are served, and their connections are closed then."""
        self.connections.closing = True
        self.lifecycle.enter(State.DRAINING)

    def hurry(self) -> None:
        """Begin to stop: let no item wait for a fuller batch, and give requests that are not whole little more time.

        The time for the stop, `shutdown_seconds`, begins at the first call.
        """
        self._ends = min(self._ends, self.clock.now() + self.settings.shutdown_seconds)
        self._leaving.set()
        self.connections.hurry()
        self._live.hurry()

    async def stop(self) -> None:
        """Answer the requests that wait, then end the threads."""
        self.hurry()
        self.begin_drain()
        await self._upkeep.stop()
        for task in self._tasks:
            task.cancel()
            await asyncio.wait([task])
        await self.trials.close(seconds=self._patience())
        patience = self._patience()
        try:
            async with asyncio.timeout(patience):
                await self._live.drain()
        except TimeoutError:
            logger.error("a batch did not end within %.1f s; leaving without it", patience)
        await self._factory.close()
        self.connections.stop()
        if self._preparation is not None:
            self.is_stuck |= not self._preparation.close(timeout_seconds=self._patience())
        for pool in self._pools:
            self.is_stuck |= not pool.close(timeout_seconds=self._patience())
        self.leaves_threads = self._factory.left_behind or self._upkeep.left_behind
        if self.tracing is not None:
            await self.tracing.close(seconds=self._patience())
        self.lifecycle.enter(State.STOPPED)

    def _patience(self) -> float:
        """How long running work may still take: the rest of the time for the stop, or a moment if none is left."""
        if self.is_stuck:
            return 0.0
        least = min(_LAST_BATCH_SECONDS, self.settings.shutdown_seconds)
        return max(least, self._ends - self.clock.now())

    def fail(self, error: BaseException) -> None:
        """Log why the service cannot go on, and have the process ended."""
        self.failure = error
        logger.critical("the service has failed: %s", error, exc_info=not isinstance(error, TopfiveError) and error)
        if self.lifecycle.state in (State.STARTING, State.READY, State.UNREACHABLE):
            self.lifecycle.enter(State.FAILED)
        self._on_fatal()

    def reload(self) -> None:
        """Check now whether keys, certificates and, if it is polled, the repository have changed."""
        self.credentials.reload()

    async def _keep_current(self) -> None:
        try:
            await self.credentials.keep_current(self.clock, when_told=self.control.look)
        except Exception as error:  # noqa: BLE001  # as for `_keep_watch`
            self.fail(error)

    def _on_swap(self) -> None:
        if self.cache is not None:
            self.cache.serve({model.unit for model in self.models})
        self.changed.ring()

    def _on_state(self, state: State) -> None:
        self.metrics.ready.set(self.lifecycle.ready)
        self.changed.ring()
        if state is State.READY and not self.lifecycle.ready:
            logger.warning("the service is not ready: %s", self.lifecycle.why_not_ready)
        else:
            logger.info("the service is %s", state.value)
        if self.lifecycle.ready and not self._was_ready:
            self._was_ready = True
            self.on_ready()
